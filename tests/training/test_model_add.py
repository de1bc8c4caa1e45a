import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

onnx = pytest.importorskip("onnx", reason="the extra `models` is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the extra `models` is not installed")

from secondlook.adapters.model_config import parse_config, read_config  # noqa: E402 - see above
from secondlook.local.repository import Model, faults  # noqa: E402 - see above
from secondlook.model_fit import spec_of  # noqa: E402 - see above
from secondlook.model_request import AddRequest  # noqa: E402 - see above
from secondlook.model_spec import ModelParameters  # noqa: E402 - see above
from tests.training.small_exports import (  # noqa: E402 - see above
    CELLS,
    LABELS,
    SIDE,
    classifier,
    detector,
    names_of,
    pictures,
    saved,
)
from training import model_add, model_fusing, trial_pictures  # noqa: E402 - see above
from training.agreement import Agreement  # noqa: E402 - see above
from training.export import fuse_detector  # noqa: E402 - see above
from training.model_check import check  # noqa: E402 - see above
from training.model_files import (  # noqa: E402 - see above
    ONNX,
    PYTHON,
    TENSORRT,
    TORCH,
    Form,
    config_text,
)
from training.raw_models import ExportError  # noqa: E402 - see above

SHIPPED = Path(__file__).parents[2] / "model_repository"
UNIT = ModelParameters(value_range="0..1")
BYTES = ModelParameters(value_range="0..255")


@pytest.fixture
def images(tmp_path):
    return pictures(tmp_path / "pictures")


def add(tmp_path, model, images, **fields):
    """Add a model; return its folder and what was said."""
    file = saved(model, tmp_path / "export.onnx") if not isinstance(model, Path) else model
    said = io.StringIO()
    request = AddRequest(
        file=file, repository=tmp_path / "models", images=images, **{"name": "mine", **fields}
    )
    folder = model_add.add(request, Console(file=said, width=200))
    return folder, said.getvalue()


def answers(folder, images):
    session = runtime.InferenceSession(folder / "1" / "model.onnx")
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": images}), strict=True))


def raw_answers(model, pixels):
    session = runtime.InferenceSession(model.SerializeToString())
    (output,) = session.run(None, {session.get_inputs()[0].name: pixels})
    return output


def noise(count=3):
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("kind", ["yolov5", "yolov8"])
def test_a_detector_becomes_a_whole_model_folder(tmp_path, images, kind, opset) -> None:
    model = detector(kind, opset=opset, metadata={**names_of(), "license": "AGPL-3.0 License"})
    folder, said = add(tmp_path, model, images)

    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {
        *("config.pbtxt", "labels.txt", "card.md", "1/model.onnx", "1/model.py"),
        *("1/model_torch.py", "1/torch_graph.py"),
        *(f"configs/{name}.pbtxt" for name in ("python", "onnx", "tensorrt", "torch")),
    }
    spec = spec_of(read_config(folder / "config.pbtxt"), version="1", answers="boxes")
    assert spec.parameters.labels == LABELS
    assert spec.parameters.min_score == 0.25
    assert (spec.input.datatype, spec.input.shape) == ("UINT8", (SIDE, SIDE, 3))
    assert list(faults(Model(folder))) == []
    assert "answer a known picture" in check(folder)
    assert "fused and original agree on" in said
    assert "detector:\n    model: mine" in said
    card = (folder / "card.md").read_text()
    assert re.search(r"`export.onnx`, sha256 `[0-9a-f]{64}`", card)
    assert f"opset {opset}" in card
    assert "boxes within" in card
    assert Model(folder).licence == "AGPL-3.0 License"


@pytest.mark.parametrize("kind", ["yolov5", "yolov8"])
def test_an_export_for_one_picture_answers_batches_afterwards(tmp_path, images, kind) -> None:
    folder, _ = add(tmp_path, detector(kind, batch=1, metadata=names_of()), images)

    together, shown = answers(folder, noise()), noise()
    assert spec_of(read_config(folder / "config.pbtxt"), version="1").max_batch_size == 8
    for number in range(3):
        alone = answers(folder, shown[number : number + 1])
        np.testing.assert_allclose(together["scores"][number], alone["scores"][0], atol=1e-6)
    assert np.ptp(together["scores"][:, 0]) > 0


def test_an_export_that_cannot_be_freed_takes_one_picture_a_call(tmp_path, images) -> None:
    model = detector(labels=3, metadata=names_of())
    # A shape that is computed, not written down, cannot be set free.
    model.graph.node[-1].output[0] = "boxes"
    model.graph.node.append(onnx.helper.make_node("Identity", ["shape"], ["computed"]))
    model.graph.node.append(onnx.helper.make_node("Reshape", ["boxes", "computed"], ["output0"]))
    shape = np.array([1, 7, CELLS])
    model.graph.initializer.append(onnx.numpy_helper.from_array(shape, "shape"))

    folder, said = add(tmp_path, model, images)

    assert "max_batch_size: 1\n" in (folder / "config.pbtxt").read_text()
    assert "one picture a call" in said
    assert "up to 1 a call" in check(folder)


@pytest.mark.parametrize("nchw", [True, False])
@pytest.mark.parametrize("logits", [True, False])
def test_a_classifier_answers_the_probabilities_of_its_export(
    tmp_path, images, nchw, logits
) -> None:
    model, shown = classifier(nchw=nchw, logits=logits), noise()
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    given = ModelParameters(mean=mean, std=std)
    folder, said = add(tmp_path, model, images, labels="gun,phone,umbrella", parameters=given)

    pixels = ((shown / 255 - mean) / std).astype(np.float32)
    raw = raw_answers(model, pixels.transpose(0, 3, 1, 2) if nchw else pixels)
    if logits:
        raw = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers(folder, shown)["scores"], raw, atol=1e-5)
    spec = spec_of(read_config(folder / "config.pbtxt"), version="1", answers="labels")
    assert spec.parameters.output == "probabilities"
    assert (spec.parameters.mean, spec.parameters.value_range) == (None, "0..255")
    assert "answers the same" not in said
    assert "labels: [gun]" in said


def test_mean_and_std_above_one_are_in_units_of_bytes(tmp_path, images) -> None:
    model, shown = classifier(logits=False), noise()
    given = ModelParameters(mean=(120, 110, 100), std=(60, 60, 60))
    folder, _ = add(tmp_path, model, images, labels=",".join(LABELS), parameters=given)

    pixels = ((shown - [120.0, 110.0, 100.0]) / 60).astype(np.float32).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(
        answers(folder, shown)["scores"], raw_answers(model, pixels), atol=1e-5
    )


def test_an_ultralytics_classifier_needs_no_more_than_its_file(tmp_path, images) -> None:
    metadata = {**names_of(), "task": "classify"}
    folder, _ = add(tmp_path, classifier(logits=False, metadata=metadata), images)

    assert "value_range 0..1" in (folder / "card.md").read_text()


def test_weights_beside_the_file_come_along(tmp_path, images) -> None:
    file = tmp_path / "split.onnx"
    onnx.save(detector(metadata=names_of()), file, save_as_external_data=True, size_threshold=0)
    folder, _ = add(tmp_path, file, images)

    assert "answer a known picture" in check(folder)
    assert [path.name for path in (folder / "1").iterdir() if "data" in path.name] == []


def test_replace_takes_the_place_of_the_old_model(tmp_path, images) -> None:
    folder, _ = add(tmp_path, detector("yolov5", metadata=names_of()), images)
    add(tmp_path, detector("yolov8", metadata=names_of()), images, replace=True)

    assert "without objectness" in (folder / "card.md").read_text()
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def damaged(tmp_path):
    file = tmp_path / "damaged.onnx"
    whole = detector(metadata=names_of()).SerializeToString()
    file.write_bytes(whole[: len(whole) // 2])
    return file


def text(tmp_path):
    file = tmp_path / "notes.onnx"
    file.write_text("These are notes.")
    return file


def without_data(tmp_path):
    file = tmp_path / "split.onnx"
    model = detector(metadata=names_of())
    onnx.save(model, file, save_as_external_data=True, location="split.data", size_threshold=0)
    (tmp_path / "split.data").unlink()
    return file


def checkpoint(tmp_path):
    file = tmp_path / "best.pt"
    file.write_bytes(b"PK")
    return file


def empty_folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


FILES = {
    "missing": (lambda tmp_path: tmp_path / "no.onnx", "there is no .*no.onnx"),
    "text": (text, "notes.onnx is not an ONNX file"),
    "damaged": (damaged, "is not an ONNX file|is damaged"),
    "no-data": (without_data, "split.data, which is not beside it: copy both"),
    "checkpoint": (checkpoint, "PyTorch checkpoint: export it first.*model=best.pt format=onnx"),
    "folder": (empty_folder, "folder without saved_model.pb"),
}


@pytest.mark.parametrize(("make", "sentence"), FILES.values(), ids=FILES)
def test_what_is_no_model_is_refused_and_nothing_is_left(tmp_path, images, make, sentence) -> None:
    with pytest.raises(ExportError, match=sentence):
        add(tmp_path, make(tmp_path), images, labels="a,b,c")
    assert not (tmp_path / "models").exists()


ASKS = {
    "range": (classifier(), {"labels": "a,b,c"}, "say --value-range 0..255"),
    "labels": (classifier(), {"parameters": UNIT}, "say --labels"),
    "no-file": (detector(), {"labels": "labels.txt"}, "labels.txt: there is no such file"),
    "doubled": (detector(), {"labels": "a,b,a"}, "name a twice"),
    "one-topic": (
        classifier(),
        {"labels": "big gun,big_gun,c", "parameters": UNIT},
        "share the topic level",
    ),
    "detector-output": (
        detector(metadata=names_of()),
        {"parameters": ModelParameters(output="logits")},
        "--output is for classifiers",
    ),
    "classifier-min-score": (
        classifier(),
        {"labels": "a,b,c", "parameters": ModelParameters(min_score=0.3)},
        "--min-score is for detectors",
    ),
    "not-logits": (
        classifier(),
        {"labels": "a,b,c", "parameters": BYTES.model_copy(update={"output": "probabilities"})},
        "values that are no scores: check --value-range",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("model", "fields", "sentence"), ASKS.values(), ids=ASKS)
def test_what_the_user_has_to_say_is_asked_for(tmp_path, images, model, fields, sentence) -> None:
    with pytest.raises(ExportError, match=sentence):
        add(tmp_path, model, images, **fields)
    assert not (tmp_path / "models").exists()


def test_a_labels_file_of_another_length_is_named_with_both_counts(tmp_path, images) -> None:
    (tmp_path / "two.txt").write_text("a\nb\n")
    with pytest.raises(ExportError, match=r"labels file .*two.txt names 2 labels.* answers 3"):
        add(tmp_path, detector(), images, labels=str(tmp_path / "two.txt"))


def test_a_name_that_is_taken_is_refused(tmp_path, images) -> None:
    add(tmp_path, detector(metadata=names_of()), images)
    with pytest.raises(ExportError, match=r"there is a model mine .* say --replace"):
        add(tmp_path, detector(metadata=names_of()), images)


def test_a_folder_without_pictures_is_refused(tmp_path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(ExportError, match="no picture in it"):
        add(tmp_path, detector(metadata=names_of()), tmp_path / "none")


def test_a_fused_model_that_says_something_else_is_never_written(
    tmp_path, images, monkeypatch
) -> None:
    def blurred(model, kind, given, output):
        return fuse(model, kind, given.model_copy(update={"mean": (0.1, 0.1, 0.1)}), output)

    fuse = fuse_detector
    monkeypatch.setattr(model_fusing, "fuse_detector", blurred)
    with pytest.raises(ExportError, match=r"not say what the original says.*nothing was written"):
        add(tmp_path, detector(metadata=names_of()), images)
    assert not (tmp_path / "models").exists()


def test_a_repository_that_cannot_be_written_is_a_sentence(tmp_path, images) -> None:
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(ExportError, match="cannot be written"):
        add(tmp_path, detector(metadata=names_of()), images)


def test_the_default_pictures_are_the_clip_and_drawn_scenes() -> None:
    shown = trial_pictures.pictures()

    assert len(shown) == 24
    assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image in shown)
    assert len({image.tobytes()[:3000] for image in shown}) > 10


@pytest.mark.parametrize("name", ["yolov5", "efficientnet_b0"])
@pytest.mark.parametrize("platform", [PYTHON, ONNX, TENSORRT, TORCH], ids=lambda p: p.name)
def test_written_configurations_say_what_the_shipped_ones_say(name, platform) -> None:
    shipped = read_config(SHIPPED / name / "configs" / f"{platform.name}.pbtxt")
    spec = spec_of(shipped, version="1")
    form = Form(spec.input, spec.outputs, spec.parameters, spec.max_batch_size)

    written = parse_config(config_text(name, platform, form), "written")

    ours = {**shipped, "parameters": {**shipped["parameters"]}}
    ours["parameters"].pop("count_floor", None)  # says the same of every fused graph
    assert written == ours


def test_labels_with_quotes_and_accents_survive_the_configuration(tmp_path, images) -> None:
    folder, _ = add(tmp_path, detector(), images, labels='a "b",größe,c\\d')

    spec = spec_of(read_config(folder / "config.pbtxt"), version="1")
    assert spec.parameters.labels == ('a "b"', "größe", "c\\d")


def test_check_finds_weights_of_another_shape(tmp_path, images) -> None:
    folder, _ = add(tmp_path, detector(metadata=names_of()), images)
    other, _ = add(tmp_path, detector(labels=1), images, labels="x", name="other")
    shutil.copy(folder / "labels.txt", other / "labels.txt")
    raw = saved(detector(), tmp_path / "raw.onnx")
    shutil.copy(raw, folder / "1" / "model.onnx")

    assert any("labels.txt has 3 labels" in fault for fault in faults(Model(other)))
    with pytest.raises(ExportError, match="outputs boxes, scores, labels, count, the file has"):
        check(folder)


def test_an_agreement_of_nothing_is_none() -> None:
    assert not Agreement().good
