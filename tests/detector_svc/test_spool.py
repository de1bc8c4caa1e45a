"""Evidence survives: restarts, full disks, rotten files."""

import errno
import os

import pytest

from detector_svc import spool as spool_module
from detector_svc.spool import Spool
from secondlook.adapters import ownership
from secondlook.errors import ConfigError
from secondlook.messages import Crop
from tests.detector_svc.messages_of import crop, track_ended

START_NS = 1_795_328_000_000_000_000


class Clock:
    """Unix time that moves when it is told to, and a steady clock that goes with it."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.steady_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def forward(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)
        self.steady_ns += max(0, int(seconds * 1e9))

    def set_to(self, seconds: float) -> None:
        """Set the wall clock alone."""
        self.now_ns += int(seconds * 1e9)

    def steady_s(self) -> float:
        return self.steady_ns / 1e9


@pytest.fixture
def clock():
    return Clock()


def opened(tmp_path, clock, max_bytes=10_000_000, hold_s=300.0):
    return Spool(tmp_path / "spool", max_bytes, hold_s, clock, clock.steady_s)


def ids(spool, camera="yard"):
    """Return the ids of a camera's crops, oldest first."""
    payloads = [spool.read(entry) for entry in spool.after(camera, 0, 1000)]
    return [Crop.decode(payload).id for payload in payloads if payload]


def files(tmp_path):
    return sorted((tmp_path / "spool").rglob("*.json"))


def test_messages_come_back_in_order_even_when_the_clock_stands_or_goes_back(tmp_path, clock):
    spool = opened(tmp_path, clock)

    for number in range(5):
        spool.put(crop(number))
        clock.forward(-1 if number == 2 else 0)

    assert ids(spool) == [f"yard-a-0.{number}" for number in range(5)]


def test_a_reader_goes_on_behind_what_it_has(tmp_path, clock):
    spool = opened(tmp_path, clock)
    entries = [spool.put(crop(number)) for number in range(5)]

    assert spool.after("yard", entries[1].sequence, 2) == entries[2:4]
    assert spool.after("yard", entries[4].sequence, 2) == []
    assert spool.newest("yard") == entries[4].sequence
    assert spool.newest("gate") == 0


def test_everything_survives_a_restart_in_order(tmp_path, clock):
    before = opened(tmp_path, clock)
    before.put(crop(0))
    before.put(track_ended(camera="gate"))
    before.put(crop(1))

    after = opened(tmp_path, clock)
    after.put(crop(2))

    assert ids(after) == ["yard-a-0.0", "yard-a-0.1", "yard-a-0.2"]
    assert sorted(after.cameras()) == ["gate", "yard"]
    assert len(after) == 4
    assert after.size_bytes == sum(path.stat().st_size for path in files(tmp_path))


def test_what_is_too_old_is_forgotten(tmp_path, clock):
    spool = opened(tmp_path, clock, hold_s=10)
    spool.put(crop(0))
    clock.forward(6)
    spool.put(crop(1))
    clock.forward(6)

    assert ids(spool) == ["yard-a-0.1"]
    assert spool.counts["expired"] == 1
    assert len(files(tmp_path)) == 1


def test_the_oldest_of_all_cameras_makes_room(tmp_path, clock):
    size = len(crop(0).encode())
    spool = opened(tmp_path, clock, max_bytes=3 * size + 10)
    for number, camera in enumerate(["gate", "yard", "gate", "yard", "yard"]):
        spool.put(crop(number, camera))

    assert ids(spool, "gate") == ["gate-a-0.2"]
    assert ids(spool) == ["yard-a-0.3", "yard-a-0.4"]
    assert spool.counts["shed"] == 2
    assert spool.size_bytes == 3 * size
    assert len(files(tmp_path)) == 3


def test_a_smaller_limit_holds_from_the_start(tmp_path, clock):
    before = opened(tmp_path, clock)
    for number in range(5):
        before.put(crop(number))

    after = opened(tmp_path, clock, max_bytes=2 * len(crop(0).encode()))

    assert ids(after) == ["yard-a-0.3", "yard-a-0.4"]


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-9], lambda raw: b"", lambda raw: raw.replace(b"yard", b"gate", 1)]
)
def test_a_rotten_file_is_skipped_and_counted(tmp_path, clock, damage):
    before = opened(tmp_path, clock)
    for number in range(3):
        before.put(crop(number))
    rotten = files(tmp_path)[1]
    rotten.write_bytes(damage(rotten.read_bytes()))

    after = opened(tmp_path, clock)

    assert ids(after) == ["yard-a-0.0", "yard-a-0.2"]
    assert after.counts["corrupt"] == 1
    assert len(after) == 2
    assert not rotten.exists()


def test_strange_things_in_the_folder_are_left_alone(tmp_path, clock):
    folder = tmp_path / "spool" / "yard"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (tmp_path / "spool" / "README").write_text("mine")
    (tmp_path / "spool" / "Not A Camera").mkdir()
    (folder / "00000000000000000001-00000000.part").write_bytes(b"half")

    spool = opened(tmp_path, clock)

    assert len(spool) == 0
    assert (folder / "notes.txt").exists()
    assert not list(folder.glob("*.part"))


def test_a_crop_from_the_far_future_is_kept_as_long_as_any_other(tmp_path, clock):
    clock.set_to(86_400)
    opened(tmp_path, clock).put(crop(0))
    clock.set_to(-86_400)

    spool = opened(tmp_path, clock)
    spool.put(crop(1))

    assert ids(spool) == ["yard-a-0.0", "yard-a-0.1"]
    clock.forward(301)
    assert ids(spool) == []
    assert files(tmp_path) == []


@pytest.mark.parametrize("jump_s", [3 * 3600, -3 * 3600])
def test_setting_the_clock_makes_nothing_too_old_and_keeps_nothing_longer(tmp_path, clock, jump_s):
    spool = opened(tmp_path, clock)
    spool.put(crop(0))
    clock.forward(10)
    clock.set_to(jump_s)
    spool.put(crop(1))

    assert ids(spool) == ["yard-a-0.0", "yard-a-0.1"]
    clock.forward(291)
    assert ids(spool) == ["yard-a-0.1"]
    clock.forward(10)
    assert ids(spool) == []


def test_a_camera_that_floods_the_spool_sheds_its_own(tmp_path, clock):
    size = len(crop(0).encode())
    spool = opened(tmp_path, clock, max_bytes=10 * size + 100)
    for number in range(3):
        spool.put(crop(number))
    for number in range(40):
        spool.put(crop(number, "gate"))

    assert ids(spool) == [f"yard-a-0.{number}" for number in range(3)]
    assert ids(spool, "gate") == [f"gate-a-0.{number}" for number in range(33, 40)]
    assert spool.by_camera == {("gate", "shed"): 33}


def test_a_file_that_somebody_removed_is_skipped(tmp_path, clock):
    spool = opened(tmp_path, clock)
    entry = spool.put(crop(0))
    files(tmp_path)[0].unlink()

    assert spool.read(entry) is None


class FullDisk:
    """Makes writing fail while `full`."""

    def __init__(self, monkeypatch) -> None:
        self.full = True
        really = ownership.private_file

        def opened(path: str, flags: int) -> int:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return really(path, flags)

        monkeypatch.setattr(spool_module, "private_file", opened)


def test_a_full_disk_is_counted_and_nothing_is_lost_while_we_live(
    tmp_path, clock, monkeypatch, caplog
):
    disk = FullDisk(monkeypatch)
    spool = opened(tmp_path, clock)
    spool.put(crop(0))
    spool.put(crop(1))
    disk.full = False
    spool.put(crop(2))

    assert ids(spool) == ["yard-a-0.0", "yard-a-0.1", "yard-a-0.2"]
    assert spool.counts["unwritten"] == 2
    assert len(files(tmp_path)) == 1
    said = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1
    assert "No space left" in said[0]


def test_what_waits_in_memory_is_bounded(tmp_path, clock, monkeypatch):
    size = len(crop(0).encode())
    monkeypatch.setattr(spool_module, "MEMORY_BYTES", 2 * size)
    FullDisk(monkeypatch)
    spool = opened(tmp_path, clock)

    for number, camera in enumerate(["gate", "yard", "yard", "yard"]):
        spool.put(crop(number, camera))

    assert ids(spool, "gate") == ["gate-a-0.0"]
    assert ids(spool) == ["yard-a-0.3"]
    assert spool.counts["shed"] == 2


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path, clock):
    (tmp_path / "spool").write_text("a file")

    with pytest.raises(ConfigError, match=r"detector\.spool\.directory: .*spool: "):
        opened(tmp_path, clock)
