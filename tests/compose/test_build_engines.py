"""`deploy/compose/build_engines.py` with a trtexec and a CUDA driver that only pretend.

The real ones need an NVIDIA GPU: what is tested here is when an engine is built, with which
arguments, and what is said when it fails.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "compose" / "build_engines.py"
COMPILER = shutil.which("cc") or shutil.which("gcc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="apt-get install gcc")
CONFIG = """
name: "finder"  # max_batch_size: 99
max_batch_size: 8
input [ { name: "images" data_type: TYPE_UINT8 dims: [ 640, 640, 3 ] } ]
output [ { name: "boxes" data_type: TYPE_FP32 dims: [ 1000, 4 ] } ]
"""
TRTEXEC = """#!{python}
import json, os, sys
print("&&&& RUNNING TensorRT.trtexec [TensorRT v" + os.environ.get("FAKE_TENSORRT", "100300") + "]")
if "--help" in sys.argv:
    sys.exit(0)
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if "FAKE_FAILURE" in os.environ:
    print("[11/25] [E] Error[2]: out of memory")
    sys.exit(1)
options = dict(a.split("=", 1) for a in sys.argv[1:] if "=" in a)
with open(options["--saveEngine"], "wb") as plan:
    plan.write(b"engine of " + open(options["--onnx"], "rb").read())
"""
DRIVER = """
#include <stdlib.h>
#include <string.h>
int cuInit(unsigned flags) { return getenv("FAKE_NO_GPU") ? 100 : 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    const char *wanted = getenv("FAKE_GPU");
    strncpy(name, wanted ? wanted : "Orin", length);
    return 0;
}
int cuDeviceGetAttribute(int *value, int which, int device) {
    *value = which == 75 ? 8 : 7;
    return 0;
}
"""


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_engines", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Bench:
    """A model repository, and tools that pretend."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models, self.engines = folder / "models", folder / "engines"
        self.engines.mkdir()
        tools = folder / "tools"
        tools.mkdir()
        trtexec = tools / "trtexec"
        trtexec.write_text(TRTEXEC.format(python=sys.executable))
        trtexec.chmod(0o755)
        (tools / "driver.c").write_text(DRIVER)
        source, library = str(tools / "driver.c"), str(tools / "libcuda.so.1")
        subprocess.run([str(COMPILER), "-shared", "-fPIC", "-o", library, source], check=True)
        self.environment = os.environ | {
            "PATH": str(tools),
            "LD_LIBRARY_PATH": f"{tools}:{sysconfig.get_config_var('LIBDIR')}",
            "FAKE_LOG": str(folder / "calls"),
        }

    def add(self, name: str, content: str = "graph", config: str = CONFIG) -> None:
        (self.models / name / "1").mkdir(parents=True, exist_ok=True)
        (self.models / name / "configs").mkdir(exist_ok=True)
        (self.models / name / "1" / "model.onnx").write_text(content)
        (self.models / name / "configs" / "tensorrt.pbtxt").write_text(config)
        (self.models / name / "labels.txt").write_text("suspect\n")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, str(SCRIPT), "--repository", str(self.models)]
        argv += ["--out", str(self.engines), *arguments]
        return subprocess.run(
            argv,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[list[str]]:
        log = self.folder / "calls"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def plan(self, name: str) -> bytes:
        return (self.engines / name / "1" / "model.plan").read_bytes()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    one = Bench(tmp_path)
    one.add("finder")
    return one


@needs_compiler
def test_an_engine_is_built_once_with_the_batches_of_its_configuration(bench: Bench) -> None:
    first, second = bench.run(), bench.run()
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "TensorRT 100300 on Orin (8.7)" in first.stdout
    assert "finder: building an engine (there is none yet)" in first.stdout
    assert "finder: its engine is up to date" in second.stdout
    [arguments] = bench.calls()
    assert {
        "--fp16",
        "--minShapes=images:1x640x640x3",
        "--optShapes=images:4x640x640x3",
        "--maxShapes=images:8x640x640x3",
    } <= set(arguments)
    assert bench.plan("finder") == b"engine of graph"


@needs_compiler
def test_what_triton_needs_lies_beside_the_engine(bench: Bench) -> None:
    assert bench.run().returncode == 0
    files = {str(p.relative_to(bench.engines)) for p in bench.engines.rglob("*") if p.is_file()}
    assert files == {
        "finder/config.pbtxt",
        "finder/configs/tensorrt.pbtxt",
        "finder/labels.txt",
        "finder/1/model.plan",
        "finder/1/model.plan.json",
    }


@needs_compiler
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"FAKE_TENSORRT": "100700"}, "changed since: tensorrt"),
        ({"FAKE_GPU": "NVIDIA H100"}, "changed since: gpu"),
        ({"onnx": "better graph"}, "changed since: onnx_sha256"),
        ({"record": "{"}, "nothing says what it was made of"),
        ({"plan": ""}, "there is none yet"),
    ],
)
def test_an_engine_of_something_else_is_stale(
    bench: Bench, change: dict[str, str], said: str
) -> None:
    assert bench.run().returncode == 0
    made = bench.engines / "finder" / "1"
    if "onnx" in change:
        bench.add("finder", change["onnx"])
    if "record" in change:
        (made / "model.plan.json").write_text(change["record"])
    if "plan" in change:
        (made / "model.plan").unlink()
    again = bench.run(**{key: value for key, value in change.items() if key.startswith("FAKE")})
    assert f"building an engine ({said})" in again.stdout
    assert len(bench.calls()) == 2


@needs_compiler
def test_a_failure_is_said_and_leaves_the_old_engine(bench: Bench) -> None:
    assert bench.run().returncode == 0
    bench.add("finder", "too large a graph")
    failed = bench.run(FAKE_FAILURE="1")
    assert failed.returncode == 1
    assert "finder: trtexec ended with status 1" in failed.stderr
    assert "out of memory" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert bench.plan("finder") == b"engine of graph"
    assert "changed since: onnx_sha256" in bench.run().stdout


@needs_compiler
def test_only_what_is_named_is_built_and_what_is_gone_is_removed(bench: Bench) -> None:
    bench.add("judge")
    assert bench.run("judge").returncode == 0
    assert not (bench.engines / "finder" / "1" / "model.plan").exists()
    shutil.rmtree(bench.models / "judge")
    assert "judge: version 1 is gone" in bench.run().stdout
    assert {path.name for path in bench.engines.iterdir()} == {"finder"}


@needs_compiler
def test_what_is_up_to_date_is_built_again_on_request(bench: Bench) -> None:
    assert bench.run().returncode == 0
    assert "(asked for)" in bench.run("--force").stdout


@needs_compiler
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PATH": "/nowhere"}, "this image has no trtexec"),
        ({"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}, "no NVIDIA driver"),
        ({"FAKE_NO_GPU": "1"}, "does not show a GPU (CUDA error 100)"),
    ],
)
def test_what_is_missing_is_one_sentence(
    bench: Bench, environment: dict[str, str], said: str
) -> None:
    done = bench.run(**environment)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CONFIG.replace("8\n", "1\n", 1), ["1x640x640x3"] * 3),
        (CONFIG.replace("8\n", "0\n", 1), []),
        (
            'max_batch_size: 4\ninput [\n {name: "a" dims: [ 3 ]},\n {name: "b" dims: [2, 2]}\n]',
            ["1x3,b:1x2x2", "2x3,b:2x2x2", "4x3,b:4x2x2"],
        ),
    ],
)
def test_batches_are_read_from_the_configuration(config: str, expected: list[str]) -> None:
    options = loaded().shapes_of(config).split()
    assert [option.partition(":")[2] for option in options] == expected


@pytest.mark.parametrize("path", sorted(ROOT.glob("model_repository/*/configs/tensorrt.pbtxt")))
def test_our_own_models_can_be_read(path: Path) -> None:
    shapes = loaded().shapes_of(path.read_text())
    assert shapes.startswith("--minShapes=images:1x")
    assert shapes.endswith("x3")
