"""The producers as a process of their own: real broker, real files, real killing."""

import asyncio
import os
import signal
import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.integration.producer_runs import WITHIN_S, Run, service
from tests.producers.clip_files import picture, write_clip

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def program(folder: Path, body: str, name: str = "camera") -> str:
    """Write a program that plays the camera; return it as a source of 64x48 pictures."""
    path = folder / f"{name}.py"
    path.write_text(
        textwrap.dedent(
            """
            import os, sys, time, random
            from pathlib import Path
            here = Path(__file__).parent

            def send(level=None):
                image = random.randbytes(64 * 48 * 3) if level is None else bytes([level]) * 9216
                sys.stdout.buffer.write(image)
                sys.stdout.buffer.flush()
                time.sleep(0.05)
            """
        )
        + textwrap.dedent(body)
    )
    return f"ffmpeg:?width=64&height=48&command={sys.executable} {path}"


LIVES = "while True: send()"


async def arrives(run: Run, made: Path, place: Path) -> None:
    """Put what a camera plays where it looks, once there is a broker to send it to."""
    await run.until(run.heard.statuses)
    await asyncio.to_thread(made.rename, place)


async def test_a_clip_is_sent_in_its_own_time_and_then_the_camera_is_offline(
    broker, tmp_path
) -> None:
    clip = tmp_path / "clip.mp4"
    made = write_clip(tmp_path / "made.mp4", 50, fps=25)
    async with service(broker, tmp_path, {"yard": {"source": f"file:{clip}", "fps": 5}}) as run:
        await arrives(run, made, clip)
        await run.until(lambda: run.heard.statuses()[-2:] == ["online", "offline"])
        frames = run.heard.frames()
        # Of two pictures that a machine comes to at once, the newer one is sent.
        metrics = await run.metrics()
        late = int(metrics.get('secondlook_frames_dropped_total{camera="yard",cause="late"}', 0))
        sent = 10 - late
        times = [f.media_ns for f in frames]
        assert times == [i * 200_000_000 for i in range(10) if i * 200_000_000 in times]
        assert [f.sequence for f in frames] == list(range(sent))
        assert sent >= 5
        assert len(run.heard.runs()) == 1
        assert run.heard.unreadable == 0
        assert run.heard.log[-1] == ("status", "yard", "offline")
        await run.until(lambda: run.said("the clip ended: 50 pictures"))
        await run.until(lambda: not run.captures())
        await asyncio.sleep(2)
        assert len(run.heard.frames()) == sent
        assert run.said("is online") == 1
        metrics = await run.metrics()
        assert metrics['secondlook_frames_captured_total{camera="yard"}'] == 50
        assert metrics['secondlook_frames_sent_total{camera="yard"}'] == sent
        assert metrics['secondlook_frames_dropped_total{camera="yard",cause="paced"}'] == 40
        assert metrics['secondlook_camera_up{camera="yard"}'] == 0
        assert await run.stop() == 0
    assert not list((tmp_path / "frames" / "yard").glob("*.bgr"))


async def test_the_pictures_that_arrive_are_the_clips(broker, tmp_path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    for number in range(1, 4):
        cv2.imwrite(str(made / f"{number}.png"), picture(number))
    (made / "notes.txt").write_text("this is no picture")
    source = f"folder:{tmp_path / 'pictures'}?fps=20&realtime=0"
    async with service(broker, tmp_path, {"yard": {"source": source, "fps": 20}}) as run:
        await arrives(run, made, tmp_path / "pictures")
        await run.until(lambda: run.heard.statuses()[-2:] == ["online", "offline"])
        assert len(run.heard.frames()) == 3
        assert np.array_equal(run.heard.images["yard"], picture(3))


async def test_a_clip_as_fast_as_it_goes_loses_nothing(broker, tmp_path) -> None:
    clip = tmp_path / "clip.mp4"
    made = write_clip(tmp_path / "made.mp4", 200, fps=20)
    camera = {"source": f"file:{clip}?realtime=0", "fps": 20}
    async with service(broker, tmp_path, {"yard": camera}) as run:
        await arrives(run, made, clip)
        await run.until(lambda: run.heard.statuses()[-2:] == ["online", "offline"])
        assert [f.media_ns for f in run.heard.frames()] == [i * 50_000_000 for i in range(200)]


async def test_a_killed_capture_process_comes_back_as_a_new_run(broker, tmp_path) -> None:
    cameras = {
        "yard": {"source": program(tmp_path, LIVES)},
        "porch": {"source": "synthetic:?width=160&height=120"},
    }
    async with service(broker, tmp_path, cameras) as run:
        await run.until(lambda: len(run.heard.frames()) > 3 and len(run.heard.frames("porch")) > 3)
        victim = next(p for p in run.captures() if "camera.py" in _children_of(p))
        os.kill(victim, signal.SIGKILL)
        await run.until(lambda: run.heard.statuses()[-2:] == ["online", "offline"])
        await run.until(lambda: run.heard.statuses()[-2:] == ["offline", "online"])
        await run.until(lambda: len(run.heard.runs()) == 2)
        assert run.heard.statuses("porch")[-1] == "online"
        assert run.heard.statuses("porch").count("offline") <= 1
        assert len(run.heard.runs("porch")) == 1
        metrics = await run.metrics()
        assert metrics['secondlook_camera_restarts_total{camera="yard"}'] == 1
        assert run.said("ended with status -9") == 1


def _children_of(pid: int) -> str:
    found = ""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if int((path / "stat").read_text().rpartition(") ")[2].split()[1]) == pid:
                found += (path / "cmdline").read_text()
        except OSError:
            continue
    return found


async def test_a_source_that_hangs_is_offline_killed_and_started_again(broker, tmp_path) -> None:
    hangs = """
        for _ in range(20): send()
        if not (here / "hung").exists():
            (here / "hung").write_text(str(os.getpid()))
            time.sleep(600)
        while True: send()
    """
    source = program(tmp_path, hangs)
    async with service(broker, tmp_path, {"yard": {"source": source}}) as run:
        await run.until(lambda: run.heard.statuses()[-2:] == ["online", "offline"])
        await run.until(lambda: run.said("no picture for 3 s"))
        await run.until(lambda: run.heard.statuses()[-2:] == ["offline", "online"])
        hung = int((tmp_path / "hung").read_text())
        await run.until(lambda: not Path(f"/proc/{hung}").exists() or _is_zombie(hung))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True


async def test_a_capture_process_that_is_frozen_is_killed(broker, tmp_path) -> None:
    source = program(tmp_path, LIVES)
    async with service(broker, tmp_path, {"yard": {"source": source}}) as run:
        await run.until(lambda: len(run.heard.frames()) > 3)
        os.kill(run.captures()[0], signal.SIGSTOP)
        await run.until(lambda: run.heard.statuses()[-2:] == ["online", "offline"])
        await run.until(lambda: run.heard.statuses()[-2:] == ["offline", "online"])
        # Its status may overtake its first frame.
        await run.until(lambda: len(run.heard.runs()) == 2)


@pytest.mark.parametrize(
    ("blank", "said"),
    [
        pytest.param("send(80)", "has not changed", id="frozen"),
        pytest.param("send(random.randrange(9))", "has been black", id="black"),
    ],
)
async def test_a_blank_picture_is_offline_until_there_is_something_to_see(
    broker, tmp_path, blank, said
) -> None:
    body = f"""
        for _ in range(20): send()
        while not (here / "enough").exists(): {blank}
        while True: send()
    """
    camera = {"source": program(tmp_path, body), "fps": 10, "blank_after_s": 1}
    async with service(broker, tmp_path, {"yard": camera}) as run:
        await run.until(lambda: run.heard.statuses()[-2:] == ["online", "offline"])
        await run.until(lambda: run.said(said))
        sent = len(run.heard.frames())
        await asyncio.sleep(1)
        assert len(run.heard.frames()) == sent
        (tmp_path / "enough").touch()
        await run.until(lambda: run.heard.statuses()[-2:] == ["offline", "online"])
        await run.until(lambda: len(run.heard.frames()) > sent)
        assert len(run.heard.runs()) == 1


async def test_a_broker_that_dies_and_returns_hears_every_status_again(broker, tmp_path) -> None:
    clip = tmp_path / "clip.mp4"
    made = write_clip(tmp_path / "made.mp4", 10)
    cameras = {
        "yard": {"source": "synthetic:?width=160&height=120"},
        "porch": {"source": f"file:{clip}"},
    }
    async with service(broker, tmp_path, cameras) as run:
        await arrives(run, made, clip)
        await run.until(lambda: run.heard.statuses()[-1:] == ["online"])
        await run.until(lambda: run.heard.statuses("porch")[-2:] == ["online", "offline"])
        broker.kill()
        await asyncio.sleep(1)
        run.heard.log.clear()
        broker.start()
        await run.until(lambda: run.heard.statuses()[-1:] == ["online"] and run.heard.frames())
        await run.until(lambda: run.heard.statuses("porch")[-1:] == ["offline"])
        assert run.process.returncode is None


async def test_a_killed_service_leaves_no_process_and_no_frames_behind(broker, tmp_path) -> None:
    cameras = {"yard": {"source": program(tmp_path, LIVES)}}
    async with service(broker, tmp_path, cameras) as run:
        await run.until(lambda: len(run.heard.frames()) > 3)
        captures = run.captures()
        run.process.kill()
        await run.process.wait()
        async with asyncio.timeout(WITHIN_S):
            while not all(_is_zombie(p) for p in captures):  # noqa: ASYNC110 - other programs
                await asyncio.sleep(0.02)
    left = {f.name for f in (tmp_path / "frames" / "yard").glob("*.bgr")}
    assert left
    async with service(broker, tmp_path, cameras) as run:
        # The status that the killed one left behind says `online`; frames do not lie.
        await run.until(run.heard.frames)
        now = {f.name for f in (tmp_path / "frames" / "yard").glob("*.bgr")}
        assert not left & now


async def test_bad_sources_stay_offline_with_a_sentence_and_harm_nobody(broker, tmp_path) -> None:
    (tmp_path / "diary.mp4").write_text("this is a diary, not a film\n" * 200)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "a.txt").write_text("no picture")
    cameras: dict[str, dict[str, Any]] = {
        "diary": {"source": f"file:{tmp_path}/diary.mp4"},
        "empty": {"source": f"file:{tmp_path}/empty.mp4"},
        "papers": {"source": f"folder:{tmp_path}/papers?loop=1&fps=50", "fps": 50},
        "away": {"source": "rtsp://127.0.0.1:9/live", "username": "me", "password": "hunter2"},
        "yard": {"source": program(tmp_path, LIVES)},
    }
    async with service(broker, tmp_path, cameras) as run:
        await run.until(lambda: len(run.heard.frames()) > 3)
        for words in (
            "camera diary is offline: " + str(tmp_path / "diary.mp4") + " is no video",
            "camera empty is offline: " + str(tmp_path / "empty.mp4") + " is no video",
            "camera papers is offline: " + str(tmp_path / "papers") + " holds no picture",
            "camera papers: a.txt is no picture",
            "camera away is offline: nothing answers at 127.0.0.1:9",
        ):
            await run.until(partial(run.said, words))
        assert run.heard.statuses()[-1] == "online"
        for camera in ("diary", "empty", "papers", "away"):
            assert run.heard.statuses(camera) == ["offline"]
        assert run.said("Traceback") == 0
        assert run.said("hunter2") == 0
        assert run.said("camera away is offline") == 1


async def test_a_store_that_is_too_small_stops_the_start_and_says_what_to_set(
    broker, tmp_path
) -> None:
    cameras = {"yard": {"source": "synthetic:?width=1920&height=1080"}}
    async with service(broker, tmp_path, cameras, max_mb=20) as run:
        assert await run.ended() == 78
        assert run.said("frames.max_mb: at least 25 is needed, because of camera yard") == 1
        assert run.said("Traceback") == 0


async def test_every_wrong_source_is_named_before_anything_starts(broker, tmp_path) -> None:
    cameras = {"yard": {"source": "webcam:front"}, "porch": {"source": "file:a.mp4?lop=1"}}
    async with service(broker, tmp_path, cameras) as run:
        assert await run.ended() == 78
        assert run.said("cameras.yard.source: webcam: needs a number") == 1
        assert run.said("cameras.porch.source: file: there is no option lop") == 1
