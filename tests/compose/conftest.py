"""A running project for each file of tests that needs one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.project import Project, named, why_no_engine
from tests.integration.broker_fixtures import free_port

BUILD_S = 3600.0
"""Of the images, ffmpeg among them, on a busy machine."""


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip where no container can be run."""
    if why := why_no_engine():
        pytest.skip(why)


@pytest.fixture(scope="module")
def clone(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A clone with its images built, and nothing of it left behind."""
    name = f"secondlook-test-{os.getpid()}"
    folder: Path = tmp_path_factory.mktemp("clone")
    # Containers are another user, who must be able to go in.
    for above in (folder, *folder.parents[:2]):
        above.chmod(0o755)
    ports = {f"{what}_PORT": str(free_port()) for what in ("MQTT", "PAGE", "PROMETHEUS")}
    project = Project.cloned(folder, name, VERSION="test", **ports)
    project.run("--profile", "*", "build", timeout_s=BUILD_S)
    try:
        yield project
    finally:
        project.run("--profile", "*", "down", "--volumes", "--timeout", "20", check=False)
        left = {kind: named(kind, name) for kind in ("container", "volume", "network")}
        assert not any(left.values()), left
