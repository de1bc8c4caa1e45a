import os
import threading
from pathlib import Path

import cv2
import pytest

from producers.clips import OpenedClip, OpenedFolder
from producers.gate import Gate
from producers.sources import Clip, Folder, parse
from secondlook.errors import SourceError
from tests.producers.clip_files import picture, write_clip


@pytest.fixture
def pipe(tmp_path: Path):
    path = tmp_path / "gate"
    os.mkfifo(path)
    ours = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    yield path, ours
    os.close(ours)


@pytest.fixture(autouse=True)
def _very_patient(monkeypatch):
    """The bound of the wait is not what ends it, however slow the machine is."""
    monkeypatch.setattr("producers.gate.LONGEST_S", 600.0)


def waits(work) -> bool:
    """Tell whether `work` is still waiting after a moment."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(0.3)
    return thread.is_alive()


def ends(work) -> bool:
    """Tell whether `work` does not wait; on a busy machine that, too, takes a moment."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    return not thread.is_alive()


def test_a_source_without_a_gate_never_waits():
    gate = Gate(None)
    gate.passed()

    assert ends(gate.wait)


def test_the_first_picture_and_those_that_nobody_took_pass(pipe):
    gate = Gate(pipe[0])

    assert ends(gate.wait)
    assert ends(gate.wait)


def test_after_a_picture_the_gate_is_shut_until_a_byte_comes(pipe):
    path, ours = pipe
    gate = Gate(path)
    gate.passed()

    thread = threading.Thread(target=gate.wait, daemon=True)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    os.write(ours, b".")
    thread.join(60)
    assert not thread.is_alive()


def test_bytes_that_came_meanwhile_let_one_picture_through(pipe):
    path, ours = pipe
    gate = Gate(path)
    os.write(ours, b"....")
    gate.passed()
    assert ends(gate.wait)
    gate.passed()

    assert waits(gate.wait)


def test_the_wait_has_a_bound(pipe, monkeypatch):
    monkeypatch.setattr("producers.gate.LONGEST_S", 0.1)
    gate = Gate(pipe[0])
    gate.passed()

    assert ends(gate.wait)


def test_a_gate_that_nobody_holds_any_more_is_open(pipe):
    path, ours = pipe
    gate = Gate(path)
    gate.passed()
    os.dup2(os.open(os.devnull, os.O_RDONLY), ours)

    assert ends(gate.wait)


def test_a_missing_gate_is_said(tmp_path):
    with pytest.raises(SourceError, match="nowhere"):
        Gate(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("address", "kind"), [("file:c.mp4?realtime=0&gate=/g", Clip), ("folder:f?gate=/g", Folder)]
)
def test_clips_and_folders_may_have_a_gate(address, kind):
    found = parse(address)

    assert isinstance(found, kind)
    assert found.gate == Path("/g")


def test_a_clip_waits_for_its_gate_only_after_a_picture_was_taken(pipe, tmp_path):
    path, ours = pipe
    clip = OpenedClip(Clip(write_clip(tmp_path / "c.mp4", 5), False, False, path))
    clip.grab()
    clip.grab()  # the pace skipped the one before
    clip.picture()

    assert waits(clip.grab)
    os.write(ours, b".")


def test_a_folder_waits_for_its_gate(pipe, tmp_path):
    path, ours = pipe
    (tmp_path / "pictures").mkdir()
    for name in ("a", "b"):
        assert cv2.imwrite(str(tmp_path / "pictures" / f"{name}.jpg"), picture(1))
    folder = OpenedFolder(Folder(tmp_path / "pictures", 10, False, False, path), 10)
    folder.grab()
    folder.picture()

    assert waits(folder.grab)
    os.write(ours, b".")
