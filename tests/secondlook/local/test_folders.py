import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from secondlook.errors import InstallError
from secondlook.local.folders import folder_of, free_mb, held, is_held, state_home, temporary


def test_a_temporary_folder_is_private_and_goes_with_its_run(tmp_path: Path) -> None:
    with temporary("run-", tmp_path) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "kept").mkdir()

    assert not folder.exists()


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    killed = (
        "import os, signal, sys, pathlib\n"
        "from secondlook.local.folders import temporary\n"
        "with temporary('run-', pathlib.Path(sys.argv[1])) as folder:\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False, timeout=30)
    (left,) = tmp_path.iterdir()

    with temporary("run-", tmp_path):
        assert left.exists(), "it may be a run that is just starting"
    os.utime(left, (0, 0))
    with temporary("run-", tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_a_living_run_and_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "run-notours"
    foreign.mkdir()
    os.utime(foreign, (0, 0))

    with temporary("run-", tmp_path) as first:
        os.utime(first, (0, 0))
        with temporary("run-", tmp_path):
            assert first.exists()
    assert foreign.exists()


def test_one_configuration_runs_once_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with held(folder):
        assert is_held(folder)
        with pytest.raises(InstallError, match="already running"), held(folder):
            pass

    assert not is_held(folder)
    assert folder.exists()


def test_state_lies_where_xdg_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert state_home() == tmp_path / "secondlook"
    assert folder_of(Path("a.yaml")) != folder_of(Path("b.yaml"))


def test_without_a_home_state_lies_in_a_folder_of_this_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(nowhere))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert state_home() == tmp_path / f"secondlook-{os.getuid()}"


def test_free_room_is_a_number_of_megabytes(tmp_path: Path) -> None:
    assert free_mb(tmp_path) > 0


def test_a_look_at_the_lock_does_not_keep_a_run_from_starting(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    looking = (
        "import fcntl, sys, time\n"
        "with open(sys.argv[1], 'ab') as lock:\n"
        "    fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "    print('looking', flush=True)\n"
        "    time.sleep(0.05)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", looking, str(folder / "lock")], stdout=subprocess.PIPE
    ) as look:
        assert look.stdout is not None
        look.stdout.readline()
        with held(folder):
            assert is_held(folder)
