"""The soak itself: it finds what it is meant to find, and a minute of it runs."""

import os
from pathlib import Path

import pytest

from secondlook.local.broker import mosquitto
from tests.soak.run import BOUNDS, CAMERAS, PROCESSES, SILENT_S, Soaked, soak
from tests.soak.sampling import memory_mb, open_files, processes


def an_hour(**slopes: float) -> Soaked:
    """Everything well, but what grows by so much an hour."""
    made = Soaked(0.0, 600.0, processes=set(range(PROCESSES)))
    for at in range(0, 3600, 10):
        found = {f"classifier, {unit}": 100.0 for unit in BOUNDS}
        for unit, slope in slopes.items():
            found[f"classifier, {unit.replace('_', ' ')}"] += slope * at / 3600
        made.samples.append((float(at), found))
    made.news = {name: [float(at) for at in range(0, 3600, 60)] for name in CAMERAS}
    return made


def test_when_all_is_well_nothing_is_said() -> None:
    assert an_hour().failures() == []


@pytest.mark.parametrize("unit", ["resident_MB", "anonymous_MB", "open_files", "MB", "messages"])
def test_what_grows_beyond_its_bound_is_named(unit: str) -> None:
    name = unit.replace("_", " ")
    assert an_hour(**{unit: BOUNDS[name] + 1}).failures() == [f"classifier, {name} grows"]
    assert an_hour(**{unit: BOUNDS[name] * 0.9}).failures() == []


def test_a_camera_that_falls_silent_is_named() -> None:
    made = an_hour()
    made.news["gate"] = [at for at in made.news["gate"] if at < 3000]
    [said] = made.failures()
    assert said.startswith("gate: ")
    assert made.longest_silence_s("gate") > SILENT_S


def test_a_part_that_was_replaced_is_named() -> None:
    made = an_hour()
    made.processes.add(99)
    made.restarts = {"detector": 2}
    assert made.failures() == ["detector was started 2 times", "12 processes ran, not 11"]


def test_a_process_is_measured() -> None:
    resident, anonymous = memory_mb(os.getpid())
    assert 1 < anonymous < resident
    before = open_files(os.getpid())
    with Path("/proc/self/status").open():
        assert open_files(os.getpid()) == before + 1
    assert processes({"me": os.getpid()})["me"] == os.getpid()


@pytest.mark.integration
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
async def test_a_minute_of_it_has_alerts_of_every_camera_and_no_fault(tmp_path: Path) -> None:
    result = await soak(tmp_path, 60, 5, print)
    assert result.failures() == []
    assert all(result.news.values())
    assert len(result.trends()) == 3 * PROCESSES + 7
