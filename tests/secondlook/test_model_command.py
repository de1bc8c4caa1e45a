"""`secondlook model`: what it shows, refuses and deletes; nothing is served here."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from secondlook.adapters.model_config import read_config
from secondlook.cli import main
from secondlook.commands import model_add, model_check, model_options
from secondlook.errors import ModelMismatch
from secondlook.local.repository import Model, faults, models_in

SHIPPED = Path(__file__).parents[2] / "model_repository"


def call(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, ["model", *arguments], input=text)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Copy the shipped models."""
    shutil.copytree(SHIPPED, tmp_path / "models")
    return tmp_path / "models"


def broken(repository: Path, old: str, new: str) -> Model:
    path = repository / "yolov5" / "config.pbtxt"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return Model(repository / "yolov5")


def test_list_shows_what_each_model_is_and_its_licence() -> None:
    result = call("list", "--repository", str(SHIPPED))

    assert result.exit_code == 0
    (detector,) = [line.split() for line in result.output.splitlines() if line.startswith("yolov5")]
    assert detector[:5] == ["yolov5", "detector", "1", "UINT8", "640x640"]
    assert "yolov5: suspect; for onnx python torch; licence: AGPL-3.0" in result.output
    assert "2 models. There is no config.yaml" in result.output


def test_list_says_what_the_configuration_uses(tmp_path: Path, repository: Path) -> None:
    shutil.copytree(repository / "yolov5", repository / "other")
    (tmp_path / "config.yaml").write_text(
        "cameras: {yard: {source: 'synthetic:'}}\ndetector: {model: other}\n"
    )

    lines = call("list", "--repository", str(repository)).output.splitlines()

    size = f"{Model(repository / 'yolov5').size / 1e6:.1f}"
    last = {line.split()[0]: line.split()[-1] for line in lines if " UINT8 " in line}
    assert last == {"efficientnet_b0": "yes", "other": "yes", "yolov5": size}


def test_list_shows_a_model_that_cannot_be_used(repository: Path) -> None:
    broken(repository, "fused", "boxes")

    result = call("list", "--repository", str(repository))

    assert result.exit_code == 0
    assert "unusable" in result.output
    assert "output: Input should be" in result.output


def test_a_repository_that_is_not_there_is_a_sentence() -> None:
    result = call("list", "--repository", "nowhere")

    assert result.exit_code == 1
    assert "there is no model repository at nowhere" in result.output


def test_the_shipped_models_have_no_faults() -> None:
    models = models_in(SHIPPED)

    assert [model.name for model in models] == ["efficientnet_b0", "yolov5"]
    assert [list(faults(model)) for model in models] == [[], []]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name: "yolov5"', 'name: "other"', "says name 'other': write 'yolov5'"),
        ("TYPE_UINT8", "TYPE_INT64", "only UINT8, FP32, FP16 can be used"),
        ("dims: [ 640, 640, 3 ]", "dims: [ 640, 640 ]", "a picture has three axes"),
        ('"channels"', '"colours"', "nothing says its channels"),
        ("input [", "input {", "no model configuration"),
        ('"suspect"', '"suspect,other"', "labels.txt has 1 labels and config.pbtxt 2"),
    ],
)
def test_a_fault_of_the_configuration_is_said(
    repository: Path, old: str, new: str, fault: str
) -> None:
    model = broken(repository, old, new)

    assert [said for said in faults(model) if fault in said]


def test_a_model_that_says_no_name_is_called_like_its_folder(repository: Path) -> None:
    model = broken(repository, 'name: "yolov5"\n', "")

    assert model.spec().name == "yolov5"
    assert list(faults(model)) == []


@pytest.mark.parametrize("file", ["model.onnx", "model.py"])
def test_a_missing_file_is_said_and_check_fails(repository: Path, file: str) -> None:
    (repository / "yolov5" / "1" / file).unlink()

    result = call("check", "yolov5", "--repository", str(repository))

    assert result.exit_code == 1
    assert f"lacks {file}" in result.output


def test_a_configuration_that_is_missing_is_a_fault(repository: Path) -> None:
    (repository / "yolov5" / "config.pbtxt").unlink()

    assert any("cannot be read" in fault for fault in faults(Model(repository / "yolov5")))
    with pytest.raises(ModelMismatch, match="cannot be read"):
        read_config(repository / "yolov5" / "config.pbtxt")


def test_check_runs_the_weights() -> None:
    # A process of its own, so that what the weights' process prints is seen, too.
    argv = [sys.executable, "-m", "secondlook.cli", "model", "check", "yolov5"]
    done = subprocess.run(
        [*argv, "--repository", str(SHIPPED)],
        cwd=SHIPPED.parent, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "yolov5: detector, 1 label, for onnx, python" in done.stdout
    assert "its weights answer a known picture" in done.stdout


def test_check_without_the_libraries_says_so_and_looks_at_the_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_check, "lacking", lambda: ["onnxruntime"])

    result = call("check", "yolov5", "--repository", str(SHIPPED))

    assert result.exit_code == 0
    assert "not run here, onnxruntime missing; try --serve" in result.output


def test_check_of_an_unknown_model_names_those_that_are_there() -> None:
    result = call("check", "yolov9", "--repository", str(SHIPPED))

    assert result.exit_code == 1
    assert "there is no model yolov9" in result.output
    assert "it has efficientnet_b0, yolov5" in result.output


def test_check_of_an_empty_repository_fails(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert call("check", "--repository", str(tmp_path / "empty")).exit_code == 1


def test_remove_asks_and_takes_no_for_an_answer(repository: Path) -> None:
    result = call("remove", "yolov5", "--repository", str(repository), text="n\n")

    assert result.exit_code == 1
    assert "Delete " in result.output
    assert (repository / "yolov5").is_dir()


def test_remove_deletes_after_a_yes(repository: Path) -> None:
    result = call("remove", "yolov5", "--repository", str(repository), text="y\n")

    assert result.exit_code == 0
    assert [model.name for model in models_in(repository)] == ["efficientnet_b0"]


def test_remove_of_a_link_leaves_what_it_points_to(repository: Path, tmp_path: Path) -> None:
    (repository / "yolov5").rename(tmp_path / "elsewhere")
    (repository / "yolov5").symlink_to(tmp_path / "elsewhere")

    result = call("remove", "yolov5", "--repository", str(repository), "--yes")

    assert result.exit_code == 0
    assert not (repository / "yolov5").exists()
    assert (tmp_path / "elsewhere" / "config.pbtxt").is_file()


def test_a_saved_model_without_an_onnx_file_is_left_to_triton(repository: Path) -> None:
    version = repository / "yolov5" / "1"
    (version / "model.onnx").unlink()
    (version / "model.savedmodel").mkdir()

    result = call("check", "yolov5", "--repository", str(repository))

    assert result.exit_code == 0
    assert "model.savedmodel is tried by --serve only" in result.output


def test_remove_refuses_what_the_configuration_uses_unless_forced(
    tmp_path: Path, repository: Path
) -> None:
    (tmp_path / "config.yaml").write_text("cameras: {yard: {source: 'synthetic:'}}\n")
    arguments = ("remove", "yolov5", "--repository", str(repository), "--yes")

    refused = call(*arguments)
    assert refused.exit_code == 1
    assert "config.yaml uses yolov5 as its detector" in refused.output
    assert (repository / "yolov5").is_dir()

    assert call(*arguments, "--force").exit_code == 0
    assert not (repository / "yolov5").exists()


def test_add_hands_everything_on_to_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[tuple[str, ...]] = []

    def run(*given: str) -> int:
        handed.append(given)
        return 0

    monkeypatch.setattr(model_add, "run_training", run)

    result = call(
        "add", "best.onnx", "--name", "mine", "--labels", "a,b", "--value-range", "0..255",
        "--mean", "1,2,3", "--min-score", "0.4", "--repository", "here", "--replace",
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    ((module, text),) = handed
    said = json.loads(text)
    assert module == "model_add"
    assert (said["file"], said["labels"], said["replace"]) == ("best.onnx", "a,b", True)
    assert said["parameters"]["mean"] == [1.0, 2.0, 3.0]
    assert said["parameters"]["min_score"] == 0.4
    assert said["kind"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--name", "a/b"), "--name: letters, digits"),
        (("--name", "a", "--mean", "1,2"), "--mean: three numbers with commas"),
        (("--name", "a", "--std", "x,y,z"), "--std: three numbers with commas"),
        ((), "Missing option '--name'"),
    ],
)
def test_add_explains_what_it_cannot_understand(arguments: tuple[str, ...], sentence: str) -> None:
    result = call("add", "best.onnx", *arguments)

    assert result.exit_code == 2
    assert sentence in result.output


def test_add_without_the_libraries_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_options, "NEEDED", ("onnx", "surely_not_installed"))

    result = call("add", "best.onnx", "--name", "mine")

    assert result.exit_code == 1
    assert "needs surely_not_installed" in result.output
    assert "-m pip install onnx onnxruntime" in result.output
