"""The import rules of the project, read from the source: who may know whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVICES = ("producers", "detector_svc", "classifier_svc")
PURE = (
    *(
        f"secondlook/{name}.py"
        for name in (
            "messages",
            "topics",
            "mailbox",
            "backoff",
            "portion",
            "wall",
            "jpeg",
            "shrinking",
        )
    ),
    "secondlook/tuning.py",
    "secondlook/beats.py",
    *(f"secondlook/local/{name}.py" for name in ("truth", "watching")),
    "secondlook/evaluation/record.py",
    *(f"secondlook/commands/{name}.py" for name in ("counted", "diagnosis", "told")),
    *(f"producers/{name}.py" for name in ("motion", "pacing")),
    *(f"detector_svc/{name}.py" for name in ("letterbox", "yolo", "tracks", "looks")),
    *(f"classifier_svc/{name}.py" for name in ("preprocess", "verdict", "episodes", "alerts")),
    *(f"classifier_svc/{name}.py" for name in ("judge", "looks", "memory")),
    *(f"classifier_svc/{name}.py" for name in ("settings", "drawing")),
    *(f"classifier_svc/{name}.py" for name in ("homeassistant", "announced")),
    *(f"classifier_svc/homeassistant_{name}.py" for name in ("device", "entities")),
    *(
        f"training/evaluate/{name}.py"
        for name in ("labelled", "matching", "measures", "replay", "run", "statistics", "sweeps")
    ),
    "secondlook/review_set.py",
    "classifier_svc/review.py",
    *(
        f"secondlook/page/{name}.py"
        for name in ("album", "entries", "fold", "framing", "numbers", "summary", "views")
    ),
)
OUTSIDE_WORLD = {
    *("paho", "tritonclient", "sqlite3", "socket", "ssl", "select", "selectors", "asyncio"),
    *("io", "shutil", "tempfile", "glob", "mmap", "fcntl", "os", "subprocess", "threading"),
    *("time", "http", "urllib", "signal", "secondlook.adapters", "secondlook.service"),
}
MAY_WAIT = {"secondlook/mailbox.py": {"asyncio"}}
"""A mailbox is something to wait at."""
MAY_READ = {"secondlook/local/truth.py"}
"""Takes a path to read, and does nothing else with files."""
CLOCKS = {"now", "utcnow", "today"}
ADAPTERS = {"Bus", "Triton", "FrameReader", "FrameWriter", "Database"}
BUILDERS = ("secondlook/local/", "secondlook/commands/", "secondlook/adapters/")


def files(*folders: str) -> list[Path]:
    found = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert found
    return found


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a file imports, at its top or inside."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.ImportFrom():
                pytest.fail(f"{path}: relative imports hide who knows whom")


def is_below(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def calls(path: Path) -> Iterator[str]:
    """Yield the last name of everything that a file calls."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
                yield name


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_does_not_touch_the_outside_world(module: str) -> None:
    forbidden = OUTSIDE_WORLD - MAY_WAIT.get(module, set())

    touched = {name for name in imports(ROOT / module) if is_below(name, forbidden)}

    assert touched == set()


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_is_told_the_time_and_opens_no_file(module: str) -> None:
    called = set(calls(ROOT / module))

    assert called & CLOCKS == set()
    assert called & {"open"} == set()
    if module not in MAY_READ:
        assert called & {"read_text", "read_bytes", "write_text", "write_bytes"} == set()


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_has_a_test_that_looks_for_counterexamples(module: str) -> None:
    name = module.removesuffix(".py").replace("/", ".")

    searched = [
        path.name
        for path in files("tests")
        if "@given(" in path.read_text() and name in set(imports(path))
    ]

    assert searched, f"no test with hypothesis imports {name}"


def test_the_shared_package_knows_no_service() -> None:
    others = {*SERVICES, "training"}

    found = {
        (str(path.relative_to(ROOT)), name)
        for path in files("secondlook")
        for name in imports(path)
        if is_below(name, others)
    }

    assert found == set()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_knows_no_other_service_and_no_training(service: str) -> None:
    others = {*SERVICES, "training"} - {service}

    found = {
        (str(path.relative_to(ROOT)), name)
        for path in files(service)
        for name in imports(path)
        if is_below(name, others)
    }

    assert found == set()


def test_a_service_knows_neither_the_command_line_nor_the_embedded_stack() -> None:
    forbidden = {"secondlook.cli", "secondlook.commands", "secondlook.local"}

    found = {
        (str(path.relative_to(ROOT)), name)
        for path in files(*SERVICES)
        for name in imports(path)
        if is_below(name, forbidden)
    }

    assert found == set()


@pytest.mark.parametrize("library", ["paho", "tritonclient", "sqlite3"])
def test_only_adapters_know_the_libraries_behind_them(library: str) -> None:
    outside = {
        str(path.relative_to(ROOT))
        for path in files("secondlook", *SERVICES)
        for name in imports(path)
        if is_below(name, {library}) and path.parent.name != "adapters"
    }

    assert outside == set()


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_only_the_page_knows_the_libraries_of_the_web(library: str) -> None:
    outside = {
        str(path.relative_to(ROOT))
        for path in files("secondlook", *SERVICES)
        for name in imports(path)
        if is_below(name, {library}) and path.parent.name != "page"
    }

    assert outside == set()


def test_only_main_modules_and_the_local_stack_build_adapters() -> None:
    found = {
        (name, call)
        for path in files("secondlook", *SERVICES)
        for name in [path.relative_to(ROOT).as_posix()]
        for call in calls(path)
        if call in ADAPTERS and path.name != "__main__.py" and not name.startswith(BUILDERS)
    }

    assert found == set()


def test_training_takes_only_pure_modules_from_the_services() -> None:
    pure = {module.removesuffix(".py").replace("/", ".") for module in PURE}

    found = {
        (str(path.relative_to(ROOT)), name)
        for path in files("training")
        for name in imports(path)
        if is_below(name, {"detector_svc", "classifier_svc"}) and "." in name
        if not is_below(name, pure)
    }

    assert found == set()
