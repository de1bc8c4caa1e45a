"""Where the embedded Triton is kept, and how it would be started. Starts and downloads nothing."""

from pathlib import Path

import pytest

from secondlook.errors import InstallError
from secondlook.local import triton_install, tritonserver
from secondlook.local.tritonserver import TritonHome


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECONDLOOK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECONDLOOK_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tritonserver.cache_folder() == tmp_path / ".cache" / "secondlook"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert tritonserver.cache_folder() == tmp_path / "xdg" / "secondlook"

    monkeypatch.setenv("SECONDLOOK_CACHE", str(tmp_path / "own"))
    assert tritonserver.cache_folder() == tmp_path / "own"


def test_a_server_that_is_there_is_found_and_not_installed_again(cache: Path) -> None:
    assert tritonserver.find() is None
    home = triton_install._home(cache, triton_install._find_interpreter())
    (home.path / "bin").mkdir(parents=True)
    (home.path / "bin" / "python").touch()

    said: list[str] = []
    assert tritonserver.find() == home
    assert tritonserver.install(said.append) == home
    assert said == []


def test_other_requirements_ask_for_another_server(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = triton_install._find_interpreter()
    before = triton_install._home(cache, interpreter)
    changed = tmp_path / "requirements.txt"
    changed.write_text("nvidia-pytriton==0.0.0")
    monkeypatch.setattr(triton_install, "REQUIREMENTS", changed)

    assert triton_install._home(cache, interpreter).path != before.path


def test_an_installation_that_fails_says_why_and_leaves_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tmp_path / "requirements.txt"
    wanted.write_text(f"no-such-server==1.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(triton_install, "REQUIREMENTS", wanted)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    abandoned = cache / "building-abandoned"
    abandoned.mkdir(parents=True)
    said: list[str] = []

    with pytest.raises(InstallError, match="could not be installed: No matching distribution"):
        tritonserver.install(said.append)

    assert tritonserver.find() is None
    assert [path.name for path in cache.iterdir()] == ["install.lock"]
    assert "installing Triton into" in said[0]


def test_a_machine_without_a_fitting_python_is_told_what_to_install(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_install, "VERSIONS", ("2.7",))
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(InstallError, match="apt-get install python3-venv"):
        tritonserver.install(lambda _: None)


def test_a_python_that_cannot_run_the_server_is_passed_over(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python3.11"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(broken))
    monkeypatch.setattr("shutil.which", lambda _: str(broken))

    with pytest.raises(InstallError):
        tritonserver.find()


def test_another_platform_is_sent_to_a_container(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.31"))

    with pytest.raises(InstallError, match=r"glibc 2\.35 or later.*glibc 2\.31.*container"):
        tritonserver.install(lambda _: None)


def test_the_requirements_are_pinned_with_hashes_and_name_no_address() -> None:
    text = triton_install.REQUIREMENTS.read_text()
    pinned = [line for line in text.splitlines() if line and line[0] not in " #"]

    assert all("==" in line for line in pinned)
    assert [line.split("==")[0] for line in pinned] == ["numpy", "nvidia-pytriton", "onnxruntime"]
    assert "numpy==1." in text
    assert text.count("--hash=sha256:") > len(pinned)
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize(
    ("files", "needed"),
    [
        pytest.param((), False, id="nothing"),
        pytest.param(("a/1/model.onnx", "a/1/model.py"), False, id="onnx"),
        pytest.param(("a/1/model.savedmodel/saved_model.pb",), True, id="saved-model"),
        pytest.param(
            ("a/1/model.savedmodel/saved_model.pb", "a/1/model.onnx"), False, id="onnx-is-preferred"
        ),
        pytest.param(
            ("a/1/model.onnx", "b/2/model.savedmodel/saved_model.pb"), True, id="one-of-two"
        ),
    ],
)
def test_only_a_saved_model_without_onnx_needs_tensorflow(tmp_path, files, needed) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert tritonserver.needs_tensorflow(tmp_path) is needed


def test_a_server_with_tensorflow_is_kept_beside_the_one_without(cache: Path) -> None:
    interpreter = triton_install._find_interpreter()
    homes = [
        triton_install._home(cache, interpreter, tensorflow=heavy).path for heavy in (False, True)
    ]
    assert homes[0] != homes[1]
    (homes[1] / "bin").mkdir(parents=True)
    (homes[1] / "bin" / "python").touch()
    assert tritonserver.find() is None
    assert tritonserver.find(tensorflow=True) is not None


def test_tensorflow_is_pinned_with_hashes_and_leaves_numpy_to_the_server() -> None:
    text = triton_install.TENSORFLOW.read_text()
    pinned = [line for line in text.splitlines() if line and line[0] not in " #"]

    assert all("==" in line for line in pinned)
    assert text.count("--hash=sha256:") > len(pinned)
    names = {line.split("==")[0] for line in pinned}
    assert {"tensorflow", "tensorflow-cpu", "keras"} <= names
    assert names.isdisjoint({"numpy", "nvidia-pytriton", "onnxruntime"})
    assert "://" not in text


def test_the_server_listens_on_loopback_alone_and_has_an_environment_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("VIRTUAL_ENV", "/ours")
    home = TritonHome(Path("/cache/triton"), "3.12", "/python/lib")
    argv, env = tritonserver.command(
        home,
        repository=Path("/models"),
        http_port=1,
        grpc_port=2,
        metrics_port=3,
        extra_repositories=[Path("/more")],
    )

    addresses = [a for a in argv if "-address=" in a]
    assert len(addresses) == 3
    assert all(a.endswith("=127.0.0.1") for a in addresses)
    assert {"--http-port=1", "--grpc-port=2", "--metrics-port=3"} <= set(argv)
    assert "--model-config-name=python" in argv
    assert [a for a in argv if a.startswith("--model-repo")] == [
        "--model-repository=/models",
        "--model-repository=/more",
    ]
    assert env["PATH"].startswith("/cache/triton/bin:")
    assert env["LD_LIBRARY_PATH"].endswith("nvidia_pytriton.libs:/python/lib")
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & set(env)
