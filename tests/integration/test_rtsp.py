"""A real RTSP camera that is killed, frozen, brought back, and asks for a password."""

import contextlib
import itertools
import re
import signal
import statistics
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.broker_fixtures import free_port, wait_until_answers
from tests.integration.producer_runs import service

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).parent / "rtsp_server.py"
NEEDED = """
import gi
for name in ("Gst", "GstRtspServer"):
    gi.require_version(name, "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
for name in ("openh264enc", "h264parse", "mp4mux", "qtdemux", "rtph264pay"):
    assert Gst.ElementFactory.find(name), f"the element {name} is missing"
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A minute of H.264."""
    if not Path(PYTHON).exists():
        pytest.skip(f"there is no {PYTHON} for the RTSP server")
    asked = subprocess.run([PYTHON, "-c", NEEDED], check=False, capture_output=True, text=True)
    if asked.returncode:
        why = asked.stderr.strip().splitlines()[-1]
        pytest.skip(f"no RTSP server ({why}); install the packages of tests/apt-packages.txt")
    path: Path = tmp_path_factory.mktemp("rtsp") / "clip.mp4"
    subprocess.run([PYTHON, str(SERVER), "make", str(path)], check=True, timeout=90)
    return path


class Camera:
    """An RTSP server that can be killed and brought back at the same address."""

    def __init__(self, clip: Path, *login: str) -> None:
        self.port = free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/live"
        self._clip = clip
        self._login = login
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [PYTHON, str(SERVER), "serve", str(self.port), str(self._clip), *self._login],
            stderr=subprocess.DEVNULL,
        )
        wait_until_answers(self.port)

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@contextlib.contextmanager
def playing(clip: Path, *login: str) -> Iterator[Camera]:
    one = Camera(clip, *login)
    one.start()
    try:
        yield one
    finally:
        one.kill()


@pytest.fixture
def camera(clip) -> Iterator[Camera]:
    with playing(clip) as one:
        yield one


async def test_a_camera_that_dies_and_returns_is_offline_and_online_again(
    broker, camera, tmp_path
) -> None:
    async with service(broker, tmp_path, {"yard": {"source": camera.url, "fps": 10}}) as run:
        await run.until(lambda: len(run.heard.frames()) > 20)
        assert run.heard.statuses()[-1] == "online"
        frame = run.heard.frames()[-1]
        assert (frame.width, frame.height) == (320, 240)
        assert run.heard.images["yard"].max() > 200  # the ball
        times = [frame.media_ns for frame in run.heard.frames()[:21]]
        assert times[-1] - times[0] > 1e9
        # Ten a second; one moment in which the machine did something else changes nothing.
        assert statistics.median(b - a for a, b in itertools.pairwise(times)) < 0.2e9
        camera.kill()
        await run.until(lambda: run.heard.statuses()[-2:] == ["online", "offline"])
        await run.until(lambda: run.said(f"nothing answers at 127.0.0.1:{camera.port}"))
        sent = len(run.heard.frames())
        camera.start()
        await run.until(lambda: run.heard.statuses()[-2:] == ["offline", "online"])
        await run.until(lambda: len(run.heard.frames()) > sent + 10)
        assert len(run.heard.runs()) == 2
        # The capture process that saw it go is the one that found it again.
        assert (await run.metrics())['secondlook_camera_restarts_total{camera="yard"}'] == 0


async def test_a_camera_whose_network_is_cut_is_offline_although_nothing_says_so(
    broker, camera, tmp_path
) -> None:
    async with service(broker, tmp_path, {"yard": {"source": camera.url}}) as run:
        await run.until(lambda: len(run.heard.frames()) > 5)
        camera.signal(signal.SIGSTOP)
        await run.until(lambda: run.heard.statuses()[-2:] == ["online", "offline"])
        await run.until(lambda: run.said("no picture for 3 s"))
        camera.signal(signal.SIGCONT)
        await run.until(lambda: run.heard.statuses()[-2:] == ["offline", "online"])
        await run.until(lambda: len(run.heard.runs()) >= 2)


async def test_a_camera_that_is_not_there_yet_is_found_when_it_comes(
    broker, clip, tmp_path
) -> None:
    late = Camera(clip)
    async with service(broker, tmp_path, {"yard": {"source": late.url}}) as run:
        await run.until(lambda: run.said("nothing answers") and run.heard.statuses())
        assert run.heard.statuses() == ["offline"]
        late.start()
        try:
            await run.until(lambda: run.heard.statuses() == ["offline", "online"])
            await run.until(run.heard.frames)
        finally:
            late.kill()


async def test_a_wrong_password_is_told_without_repeating_it(broker, clip, tmp_path) -> None:
    with playing(clip, "me", "open sesame/@") as locked:
        cameras = {
            "right": {"source": locked.url, "username": "me", "password": "open sesame/@"},
            "wrong": {"source": locked.url, "username": "me", "password": "hunter2"},
            "none": {"source": locked.url},
        }
        async with service(broker, tmp_path, cameras) as run:
            await run.until(lambda: run.heard.frames("right"))
            for camera in ("wrong", "none"):
                why = f"127.0.0.1:{locked.port} refuses the username"
                await run.until(partial(run.said, f"camera {camera} is offline: {why}"))
                assert run.heard.statuses(camera) == ["offline"]
            assert run.said("hunter2") == run.said("sesame") == 0


async def test_an_address_without_video_is_told_apart_from_a_camera_that_is_away(
    broker, camera, tmp_path
) -> None:
    url = camera.url.replace("/live", "/nowhere")
    async with service(broker, tmp_path, {"yard": {"source": url}}) as run:
        await run.until(lambda: run.said("answers, but sends no video"))
        # Not a part of a port's number.
        assert [bool(re.search(r"\b404\b", line)) for line in run.output].count(True) == 1
