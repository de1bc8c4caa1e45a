"""What the project's own code never does, read from the source: no string becomes a program."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ("secondlook", "producers", "detector_svc", "classifier_svc", "training")
FOLDERS = (*PRODUCT, "benchmarks", "examples", "tests", "model_repository")
UNPACKS = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "jsonpickle"}
RUNS = {"eval", "exec", "compile", "__import__"}
SHELLS = {"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"}
SAFE_LOADERS = {"SafeLoader", "CSafeLoader"}


def files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(found) > len(folders)
    return sorted(found)


@cache
def walked(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def nodes(path: Path, kind: type[ast.AST]) -> Iterator[ast.AST]:
    return (node for node in walked(path) if isinstance(node, kind))


def imported(path: Path) -> Iterator[str]:
    for node in walked(path):
        match node:
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]


def calls(path: Path) -> Iterator[tuple[str, str, ast.Call]]:
    """Yield (what it is called on, its name, the call)."""
    for node in nodes(path, ast.Call):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                yield "", name, node
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)):
                yield owner, name, node
            case ast.Call(func=ast.Attribute(attr=name)):
                yield "?", name, node


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def test_nothing_is_unpickled() -> None:
    assert {
        str(p.relative_to(ROOT)) for p in files(*FOLDERS) if UNPACKS & set(imported(p))
    } == set()


def test_arrays_are_loaded_without_pickles() -> None:
    found = {
        where(path, call)
        for path in files(*FOLDERS)
        for owner, name, call in calls(path)
        if owner in ("np", "numpy") and name == "load"
        for keyword in call.keywords
        if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False"
    }
    assert found == set()


def test_weights_are_loaded_as_data() -> None:
    """`torch.load` unpickles unless told not to."""
    found = {
        where(path, call)
        for path in files(*FOLDERS)
        for owner, name, call in calls(path)
        if owner == "torch" and name == "load"
        if "weights_only=True" not in [ast.unparse(keyword) for keyword in call.keywords]
    }
    assert found == set()


def test_yaml_is_read_as_data() -> None:
    found = {
        where(path, call)
        for path in files(*FOLDERS)
        for owner, name, call in calls(path)
        if owner == "yaml" and name in ("load", "load_all", "unsafe_load", "full_load", "Loader")
    }
    assert found == set()
    loaders = {
        ast.unparse(base)
        for path in files(*PRODUCT)
        for node in nodes(path, ast.ClassDef)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if "Loader" in ast.unparse(base) and "yaml" in ast.unparse(base)
    }
    assert loaders == {"yaml.SafeLoader"}


def test_no_shell_is_started() -> None:
    found = {
        where(path, call)
        for path in files(*FOLDERS)
        for owner, name, call in calls(path)
        if (name in SHELLS and owner in ("os", "subprocess", "asyncio"))
        or any(k.arg == "shell" and ast.unparse(k.value) != "False" for k in call.keywords)
    }
    assert found == set()


def test_no_text_is_run_as_code() -> None:
    found = {
        where(path, call)
        for path in files(*PRODUCT)
        for owner, name, call in calls(path)
        if name in RUNS and owner == ""
    }
    assert found == set()


def test_only_the_configuration_names_a_program_to_decode_with() -> None:
    """Services hear messages and start a program for a camera in one place each: no message there.

    `producers.ffmpeg` gets its arguments from an `Order`, which is made of the configuration.
    """
    starters = {
        str(path.relative_to(ROOT))
        for path in files("producers", "detector_svc", "classifier_svc")
        for _, name, _ in calls(path)
        if name in ("Popen", "create_subprocess_exec", "run_command", "execv", "execvpe", "spawn")
    }
    assert starters == {"producers/ffmpeg.py", "producers/process.py"}
    hears = {
        str(path.relative_to(ROOT))
        for path in files("producers")
        for _, name, _ in calls(path)
        if name == "subscribe"
    }
    assert hears == set(), "the producers would listen to messages"


@pytest.mark.parametrize("folder", PRODUCT)
def test_programs_get_their_arguments_as_a_list(folder: str) -> None:
    found = {
        where(path, call)
        for path in files(folder)
        for owner, name, call in calls(path)
        if owner in ("subprocess", "asyncio") and name in ("run", "Popen", "check_call", "call")
        if call.args and isinstance(call.args[0], ast.JoinedStr | ast.Constant)
    }
    assert found == set()
