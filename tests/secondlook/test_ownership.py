"""What belongs to one user and one process: modes whatever the umask, and one owner at a time."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from detector_svc.spool import Spool
from secondlook import samples
from secondlook.adapters import ownership
from secondlook.adapters.database import Database
from secondlook.adapters.frames import FrameWriter
from secondlook.adapters.owned import owned
from secondlook.adapters.ownership import make_private, private_file
from secondlook.errors import ConfigError
from secondlook.messages import Crop

HOLDS = """
import sys, time
from pathlib import Path
from secondlook.adapters.ownership import lock
held = lock(Path(sys.argv[1]), 0)
print("mine", flush=True)
time.sleep(float(sys.argv[2]))
(Path(sys.argv[1]) / "over").touch()
"""


def holder(folder: Path, seconds: float) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", HOLDS, str(folder), str(seconds)]
    other = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "mine\n"
    return other


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest):
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(path: Path) -> dict[str, int]:
    return {str(p.relative_to(path)): stat.S_IMODE(p.stat().st_mode) for p in path.rglob("*")}


async def test_everything_the_services_keep_is_for_their_user_alone(tmp_path, umask) -> None:
    crop = next(c for c in samples.SAMPLES["crops/{camera}"] if isinstance(c, Crop))
    Spool(tmp_path / "data" / "spool", 10_000_000, 300, lambda: 1).put(crop)
    writer = FrameWriter(tmp_path / "frames" / "all", "yard", 10_000_000)
    async with Database(tmp_path / "state" / "a.sqlite3", ["CREATE TABLE t (x)"]) as database:
        await database.write(lambda db: db.execute("INSERT INTO t VALUES (1)"))
        found = modes(tmp_path)
    writer.close()

    assert {"state/a.sqlite3", "state/a.sqlite3-wal", "state/a.sqlite3-shm"} <= set(found)
    assert len(found) > 8
    folders = {name for name in found if (tmp_path / name).is_dir()}
    assert {found[name] for name in folders} == {0o700}
    assert {found[name] for name in set(found) - folders} == {0o600}


def test_a_folder_that_exists_keeps_its_mode(tmp_path) -> None:
    (tmp_path / "volume").mkdir(mode=0o750)
    make_private(tmp_path / "volume" / "a" / "b")
    assert modes(tmp_path) == {"volume": 0o750, "volume/a": 0o700, "volume/a/b": 0o700}


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        private_file(str(tmp_path / "link"), os.O_WRONLY | os.O_CREAT)
    assert not (tmp_path / "elsewhere").exists()


async def test_a_folder_has_one_owner(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ownership.lock, "__defaults__", (0.2,))
    other = holder(tmp_path, 60)
    try:
        with pytest.raises(ConfigError, match=r"spool\.directory: .* in use by another detector"):
            async with owned(tmp_path, "detector.spool.directory", "detector"):
                pytest.fail("two owners")
    finally:
        end(other)


async def test_a_killed_owner_leaves_it_free(tmp_path) -> None:
    other = holder(tmp_path, 60)
    other.send_signal(signal.SIGKILL)
    async with owned(tmp_path, "key", "detector"):
        pass
    end(other)


async def test_a_predecessor_that_is_ending_is_waited_for(tmp_path) -> None:
    other = holder(tmp_path, 1.0)
    async with owned(tmp_path, "key", "detector"):
        assert (tmp_path / "over").exists()
    assert other.wait(60) == 0
    end(other)


async def test_a_folder_that_cannot_be_made_is_a_mistake_of_the_configuration(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="give a folder that the detector may write to"):
        async with owned(tmp_path / "file" / "a", "key", "detector"):
            pass
