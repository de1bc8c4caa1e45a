"""A decoder in a child process: whole pictures, a clear end, nothing left running."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from producers.ffmpeg import OpenedCommand
from producers.sources import Command, LoginRefused
from secondlook.errors import SourceError

WRITES = """
import sys, time
for value in range({frames}):
    sys.stdout.buffer.write(bytes([value]) * (16 * 20 * 3))
sys.stdout.buffer.write(bytes({rest}))
sys.stdout.buffer.flush()
print({said!r}, file=sys.stderr, flush=True)
time.sleep({then_s})
sys.exit({status})
"""


def command(**changes) -> OpenedCommand:
    given = {"frames": 3, "rest": 0, "said": "", "then_s": 0, "status": 0} | changes
    return OpenedCommand(Command((sys.executable, "-c", WRITES.format(**given)), 20, 16))


def test_pictures_come_whole_and_in_order() -> None:
    source = command(frames=3)
    at = []
    for value in range(3):
        at.append(source.grab())
        assert source.picture().shape == (16, 20, 3)
        assert (source.picture() == value).all()
    assert at == sorted(at)
    with pytest.raises(SourceError, match="ended with status 0"):
        source.grab()
    source.close()


def test_every_picture_is_an_array_of_its_own() -> None:
    source = command(frames=2)
    source.grab()
    first = source.picture()
    source.grab()
    assert (first == 0).all()
    source.close()


def test_the_end_in_the_middle_of_a_picture_says_so_and_gives_no_picture() -> None:
    source = command(frames=1, rest=100, status=3, said="demuxing failed")
    source.grab()
    with pytest.raises(SourceError, match=r"in the middle.*100 bytes.*demuxing failed"):
        source.grab()
    source.close()


def test_what_it_complains_of_is_told_without_logins() -> None:
    source = command(frames=0, status=1, said="rtsp://me:hunter2@10.0.0.7/x: No route to host")
    with pytest.raises(SourceError, match="No route to host") as caught:
        source.grab()
    assert "hunter2" not in str(caught.value)
    source.close()


def test_a_refused_login_is_told_apart() -> None:
    source = command(frames=0, status=1, said="method DESCRIBE failed: 401 Unauthorized")
    with pytest.raises(LoginRefused):
        source.grab()
    source.close()


def test_a_program_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(SourceError, match="no-such-program cannot be started"):
        OpenedCommand(Command(("no-such-program",), 20, 16))


def test_closing_kills_the_program() -> None:
    source = command(frames=1, then_s=600)
    source.grab()
    pid = source._process.pid
    source.close()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_complains_for_ever_does_not_block() -> None:
    noisy = "import sys\nsys.stderr.write('x' * 5_000_000)\nsys.stdout.buffer.write(bytes(960))"
    source = OpenedCommand(Command((sys.executable, "-c", noisy), 20, 16))
    source.grab()
    assert np.count_nonzero(source.picture()) == 0
    source.close()
