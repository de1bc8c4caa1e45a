"""The frame store: whole frames or none, room kept, leftovers gone."""

import multiprocessing
import os
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from secondlook.adapters import frames
from secondlook.adapters.frames import FrameReader, FrameWriter, sweep
from secondlook.errors import ConfigError, FrameExpired, StoreFull, StoreTooSmall
from secondlook.messages import FrameRef

WIDTH, HEIGHT = 32, 20
SIZE = WIDTH * HEIGHT * 3


def ref_of(number: int, *, width: int = WIDTH, height: int = HEIGHT, camera: str = "yard"):
    return FrameRef(
        id=f"{camera}-{number}",
        camera=camera,
        run="r1",
        sequence=number,
        captured_ns=number,
        media_ns=number,
        width=width,
        height=height,
    )


def picture(value: int, *, width: int = WIDTH, height: int = HEIGHT):
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "frames"


def files(store: Path) -> list[str]:
    return sorted(p.name for p in (store / "yard").iterdir() if p.name != frames.LOCK)


def test_a_frame_is_read_as_it_was_written(store) -> None:
    image = np.arange(SIZE, dtype=np.uint32).astype(np.uint8).reshape(HEIGHT, WIDTH, 3)
    FrameWriter(store, "yard", 10 * SIZE).write(ref_of(1), image)
    read = FrameReader(store).read(ref_of(1))
    assert np.array_equal(read, image)
    assert not read.flags.writeable


def test_a_picture_that_is_not_contiguous_is_stored_as_it_looks(store) -> None:
    image = np.arange(2 * SIZE, dtype=np.uint32).astype(np.uint8).reshape(HEIGHT, 2 * WIDTH, 3)
    FrameWriter(store, "yard", 10 * SIZE).write(ref_of(1), image[:, ::2])
    assert np.array_equal(FrameReader(store).read(ref_of(1)), image[:, ::2])


def test_the_oldest_frames_make_room(store) -> None:
    writer = FrameWriter(store, "yard", 5 * SIZE + SIZE // 2)
    for number in range(1, 9):
        writer.write(ref_of(number), picture(number))
    assert files(store) == [f"yard-{n}.bgr" for n in (4, 5, 6, 7, 8)]
    with pytest.raises(FrameExpired, match="yard-3 is gone"):
        FrameReader(store).read(ref_of(3))


def test_a_mapped_frame_keeps_its_pixels_when_its_file_is_gone(store) -> None:
    writer = FrameWriter(store, "yard", 4 * SIZE)
    writer.write(ref_of(1), picture(1))
    read = FrameReader(store).read(ref_of(1))
    for number in range(2, 20):
        writer.write(ref_of(number), picture(number))
    assert (read == 1).all()


def test_a_frame_of_another_size_is_no_frame(store) -> None:
    FrameWriter(store, "yard", 10 * SIZE).write(ref_of(1), picture(1))
    with pytest.raises(FrameExpired, match="should have"):
        FrameReader(store).read(ref_of(1, width=WIDTH + 1))


def test_a_link_or_a_folder_in_place_of_a_frame_is_no_frame(store, tmp_path) -> None:
    FrameWriter(store, "yard", 10 * SIZE)
    (tmp_path / "secret").write_bytes(bytes(SIZE))
    (store / "yard" / "yard-7.bgr").symlink_to(tmp_path / "secret")
    (store / "yard" / "yard-8.bgr").mkdir()
    for number in (7, 8):
        with pytest.raises(FrameExpired):
            FrameReader(store).read(ref_of(number))


def test_a_frame_of_a_camera_nobody_writes_is_gone(store) -> None:
    with pytest.raises(FrameExpired):
        FrameReader(store).read(ref_of(1, camera="elsewhere"))


def test_a_reference_cannot_lead_out_of_the_store(store, tmp_path) -> None:
    # A reference that skipped validation still names a file by number.
    (tmp_path / "secret.bgr").write_bytes(bytes(SIZE))
    forged = ref_of(1).model_copy(update={"id": "../../secret"})
    with pytest.raises(FrameExpired):
        FrameReader(store / "yard").read(forged)


def test_a_picture_that_is_not_what_its_reference_says_is_refused(store) -> None:
    writer = FrameWriter(store, "yard", 10 * SIZE)
    for wrong in (picture(1, width=8), np.zeros((HEIGHT, WIDTH), np.uint8), picture(1) * 1.0):
        with pytest.raises(ValueError, match="is not a picture"):
            writer.write(ref_of(1), wrong)
    with pytest.raises(ValueError, match="not a frame of yard"):
        writer.write(ref_of(1, camera="porch"), picture(1))
    assert files(store) == []


def test_fewer_than_four_frames_stop_the_start_and_say_what_to_set(store) -> None:
    writer = FrameWriter(store, "yard", 6_000_000 // 2, cameras=2)
    with pytest.raises(StoreTooSmall, match=r"frames\.max_mb: at least 8 is needed.*camera yard"):
        writer.write(ref_of(1, width=1000, height=333), picture(0, width=1000, height=333))
    FrameWriter(store, "porch", 8_000_000 // 2, cameras=2).write(
        ref_of(1, width=1000, height=333, camera="porch"), picture(0, width=1000, height=333)
    )


def test_a_filesystem_that_is_too_small_is_named(store, monkeypatch) -> None:
    real = os.statvfs("/")
    tiny = os.statvfs_result((512, 512, 10, *real[3:]))
    monkeypatch.setattr("secondlook.adapters.frames.os.statvfs", lambda _: tiny)
    writer = FrameWriter(store, "yard", 100 * SIZE)
    with pytest.raises(StoreTooSmall, match=r"frames\.directory.*shm_size"):
        writer.write(ref_of(1), picture(1))


def test_the_budget_shrinks_to_what_the_filesystem_holds(store, monkeypatch) -> None:
    real = os.statvfs("/")
    small = os.statvfs_result((SIZE, SIZE, 12, *real[3:]))
    monkeypatch.setattr("secondlook.adapters.frames.os.statvfs", lambda _: small)
    writer = FrameWriter(store, "yard", 1000 * SIZE, cameras=2)
    for number in range(1, 21):
        writer.write(ref_of(number), picture(number))
    assert len(files(store)) == 5


@pytest.fixture
def small_tmpfs(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_tmpfs_drops_the_frame_and_leaves_no_half_of_it(small_tmpfs) -> None:
    side = 52  # 8112 bytes: two pages
    writer = FrameWriter(small_tmpfs, "yard", 50_000)
    for number in range(1, 5):
        writer.write(
            ref_of(number, width=side, height=side), picture(number, width=side, height=side)
        )
    (small_tmpfs / "guest").write_bytes(bytes(30_000))
    ref, image = ref_of(5, width=side, height=side), picture(5, width=side, height=side)
    with pytest.raises(StoreFull, match="full"):
        writer.write(ref, image)
    assert [n for n in files(small_tmpfs) if n.endswith(".part")] == []
    with pytest.raises(FrameExpired):
        FrameReader(small_tmpfs).read(ref)
    (small_tmpfs / "guest").unlink()
    writer.write(ref, image)
    assert (FrameReader(small_tmpfs).read(ref) == 5).all()


def test_folders_and_frames_are_private(store) -> None:
    FrameWriter(store, "yard", 10 * SIZE).write(ref_of(1), picture(1))
    assert {stat.S_IMODE(path.stat().st_mode) for path in (store, store / "yard")} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (store / "yard").iterdir()} == {0o600}


def test_the_folders_group_may_read_frames_where_it_is_asked_for(store) -> None:
    before = os.umask(0o077)
    try:
        writer = FrameWriter(store, "yard", 10 * SIZE, group_readable=True)
        writer.write(ref_of(1), picture(1))
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (store, store / "yard")} == {0o750}
    assert stat.S_IMODE((store / "yard" / "yard-1.bgr").stat().st_mode) == 0o640
    writer.close()
    FrameWriter(store, "yard", 10 * SIZE).close()
    assert stat.S_IMODE((store / "yard").stat().st_mode) == 0o700, "it can be taken back"


OUR_GROUP, NOT_ROOT = 54_321, 54_322


def as_another_user(program: str, path: Path, *groups: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program, str(path)],
        user=NOT_ROOT,
        group=NOT_ROOT,
        extra_groups=groups,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=30,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
def test_a_member_of_the_group_reads_and_removes_nothing_and_a_stranger_does_neither() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as temporary:
        Path(temporary).chmod(0o711)
        store = Path(temporary) / "frames"
        store.mkdir()
        os.chown(store, 0, OUR_GROUP)
        store.chmod(0o2750)  # as the volume of several containers
        writer = FrameWriter(store, "yard", 10 * SIZE, group_readable=True)
        writer.write(ref_of(1), picture(1))
        frame = store / "yard" / "yard-1.bgr"

        assert as_another_user("cat", frame, OUR_GROUP).stdout == picture(1).tobytes()
        assert b"Permission denied" in as_another_user("rm", frame, OUR_GROUP).stderr
        assert b"Permission denied" in as_another_user("cat", frame).stderr
        assert frame.exists()
        writer.close()


def _write_for_ever(store: Path, started) -> None:
    writer = FrameWriter(store, "yard", 20 * SIZE)
    for number in range(1, 10_000_000):
        writer.write(ref_of(number), picture(number % 256))
        if number == 20:
            started.set()


def test_what_a_killed_writer_leaves_is_cleaned_when_the_next_one_starts(store) -> None:
    spawn = multiprocessing.get_context("spawn")
    started = spawn.Event()
    victim = spawn.Process(target=_write_for_ever, args=(store, started))
    victim.start()
    assert started.wait(60)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join(60)
    victim.close()
    (store / "yard" / "yard-1.part").write_bytes(b"half")
    (store / "yard" / "holiday.jpg").write_bytes(b"not ours")
    assert len(files(store)) > 10
    FrameWriter(store, "yard", 10 * SIZE)
    assert files(store) == ["holiday.jpg"]


def test_a_second_writer_of_one_camera_is_refused(store, monkeypatch) -> None:
    monkeypatch.setattr(frames, "LOCK_WAIT_S", 0.1)
    first = FrameWriter(store, "yard", 10 * SIZE)
    first.write(ref_of(1), picture(1))
    with pytest.raises(ConfigError, match="another producer"):
        frames._take(store, "yard", wait_s=0.1)
    assert (FrameReader(store).read(ref_of(1)) == 1).all()
    first.close()
    FrameWriter(store, "yard", 10 * SIZE).close()


def test_sweeping_removes_what_the_dead_left_and_nothing_else(store) -> None:
    living = FrameWriter(store, "yard", 10 * SIZE)
    living.write(ref_of(1), picture(1))
    dead = FrameWriter(store, "porch", 10 * SIZE)
    dead.write(ref_of(1, camera="porch"), picture(1))
    os.close(dead._lock)
    (store / "letters").mkdir()
    (store / "letters" / "yard-1.bgr").write_bytes(b"somebody else's")
    assert sweep(store) == 1
    assert files(store) == ["yard-1.bgr"]
    assert not (store / "porch" / "porch-1.bgr").exists()
    assert (store / "letters" / "yard-1.bgr").exists()
    assert sweep(store / "nowhere") == 0


def test_closing_removes_the_frames(store) -> None:
    writer = FrameWriter(store, "yard", 10 * SIZE)
    writer.write(ref_of(1), picture(1))
    writer.close()
    assert files(store) == []


def test_a_folder_that_cannot_be_made_is_a_sentence_about_the_setting(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"frames\.directory"):
        FrameWriter(tmp_path / "file", "yard", 1000)


def test_readers_under_stress_see_the_right_picture_or_none(store) -> None:
    side = 200
    writer = FrameWriter(store, "yard", 4 * side * side * 3)
    reader = FrameReader(store)
    newest = [0]
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            ref = ref_of(number, width=side, height=side)
            writer.write(ref, picture(number % 256, width=side, height=side))
            newest[0] = number

    thread = threading.Thread(target=write)
    thread.start()
    wrong = right = expired = 0
    deadline = time.monotonic() + 60
    while right < 200 and time.monotonic() < deadline:
        number = max(1, newest[0] - (right + expired) % 5)
        try:
            image = reader.read(ref_of(number, width=side, height=side))
        except FrameExpired:
            expired += 1
            continue
        if (image == number % 256).all():
            right += 1
        else:
            wrong += 1
    stop.set()
    thread.join(60)
    assert (wrong, right) == (0, 200)


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_a_frame_keeps_nobody_waiting(tmp_path: Path) -> None:
    ref = ref_of(1)
    (tmp_path / ref.camera).mkdir()
    os.mkfifo(tmp_path / ref.camera / f"{ref.id}.bgr")

    with pytest.raises(FrameExpired):
        FrameReader(tmp_path).read(ref)
