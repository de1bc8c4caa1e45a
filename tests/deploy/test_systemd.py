"""The units of deploy/systemd: taken by systemd, confined, and in step with the programs."""

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from secondlook.config_file import load
from secondlook.errors import EXITS_FOR_GOOD

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "systemd"
SERVICES = sorted(path.stem for path in (FOLDER / "system").glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")
WORST_EXPOSURE = 2.0
"""Of ten; systemd itself calls everything below 2 OK."""


def unit(path: Path) -> configparser.RawConfigParser:
    """Read a unit; of a key that stands several times the last counts here."""
    found = configparser.RawConfigParser(strict=False, delimiters="=")
    found.optionxform = str  # type: ignore[method-assign,assignment]
    found.read(path)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Copy the units; programs that are not installed here are replaced by one that is."""
    folder = tmp_path / "system"
    shutil.copytree(FOLDER / "system", folder)
    for path in folder.glob("*.service"):
        text = re.sub(
            r"^ExecStart=\S+", f"ExecStart={sys.executable}", path.read_text(), flags=re.MULTILINE
        )
        path.write_text(text)
    return folder


def analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ANALYZE), "--no-pager", *arguments],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_COLORS": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@needs_systemd
def test_systemd_takes_every_unit_without_a_word(installed: Path) -> None:
    units = [str(path) for path in installed.glob("secondlook*.*") if path.is_file()]
    done = analyze(installed, "verify", "--man=no", *units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_is_confined(installed: Path, name: str) -> None:
    done = analyze(installed, "security", "--offline=yes", str(installed / f"{name}.service"))
    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert exposure is not None, done.stdout + done.stderr
    assert float(exposure[1]) < WORST_EXPOSURE


def test_what_a_restart_does_not_mend_is_not_restarted() -> None:
    common = unit(FOLDER / "system/secondlook-.service.d/10-common.conf")["Service"]
    assert common["Restart"] == "always"
    assert {int(code) for code in common["RestartPreventExitStatus"].split()} == {*EXITS_FOR_GOOD}


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "secondlook-triton"])
def test_a_service_is_a_program_of_ours_that_speaks_to_systemd(name: str) -> None:
    service = unit(FOLDER / f"system/{name}.service")["Service"]
    module = re.search(r"-m (\S+) --config /etc/secondlook/config.yaml$", service["ExecStart"])
    assert module is not None
    assert importlib.util.find_spec(f"{module[1]}.__main__") is not None
    assert (service["Type"], service["WatchdogSec"]) == ("notify", "30")


def test_the_producers_are_a_user_of_their_own_and_share_a_group_with_the_rest() -> None:
    services = {name: unit(FOLDER / f"system/{name}.service")["Service"] for name in SERVICES}
    users = {name: service["User"] for name, service in services.items()}
    assert users.pop("secondlook-producers") == "secondlook-producers"
    assert set(users.values()) == {"secondlook"}
    assert {service["Group"] for service in services.values()} == {"secondlook"}


def test_the_configuration_writes_where_the_units_let_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRONT_DOOR_PASSWORD", "x")
    config = load(FOLDER / "example.yaml")
    for name, places in {
        "detector": [config.detector.spool.directory],
        "classifier": [config.classifier.database, config.review.folder],
    }.items():
        service = unit(FOLDER / f"system/secondlook-{name}.service")["Service"]
        for place in places:
            assert place.is_relative_to(f"/var/lib/{service['StateDirectory']}")
    made = (FOLDER / "tmpfiles.d/secondlook.conf").read_text()
    common = unit(FOLDER / "system/secondlook-.service.d/10-common.conf")["Service"]
    outside, _, inside = common["BindPaths"].partition(":")
    frames = Path(outside) / config.frames.directory.relative_to(inside)
    assert f"d {frames} 0750 secondlook-producers secondlook" in made
    assert config.frames.group_readable


def test_the_page_names_every_unit_and_file_that_is_copied() -> None:
    page = (ROOT / "docs" / "systemd.md").read_text()
    assert all(name in page for name in SERVICES)
    assert all(
        f"deploy/systemd/{name}/*" in page for name in ("sysusers.d", "tmpfiles.d", "system")
    )
