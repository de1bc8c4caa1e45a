"""What a source may be: each kind read, each mistake a sentence, no secret repeated."""

from pathlib import Path

import pytest

from producers.sources import (
    Clip,
    Command,
    Damaged,
    Folder,
    Rtsp,
    Synthetic,
    Webcam,
    check_size,
    parse,
    redact,
)
from secondlook.errors import ConfigError


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("rtsp://10.0.0.7/live", Rtsp("rtsp://10.0.0.7/live")),
        ("webcam:0", Webcam(0, None, None)),
        ("webcam:12?width=1280&height=720", Webcam(12, 1280, 720)),
        ("file:clip.mp4", Clip(Path("clip.mp4"), loop=False, realtime=True)),
        ("file:/a b.mp4?loop=1&realtime=0", Clip(Path("/a b.mp4"), loop=True, realtime=False)),
        ("file:///a/b.mp4", Clip(Path("/a/b.mp4"), loop=False, realtime=True)),
        ("folder:x", Folder(Path("x"), None, loop=False, realtime=True)),
        ("folder:x?fps=2.5&loop=1", Folder(Path("x"), 2.5, loop=True, realtime=True)),
        ("synthetic:", Synthetic(1, 1280, 720, None, (), None, realtime=True)),
        (
            "synthetic:?seed=0&width=640&height=360&fps=10&labels=phone,small_gun&seconds=9.5",
            Synthetic(0, 640, 360, 10.0, ("phone", "small_gun"), 9.5, realtime=True),
        ),
        (
            "ffmpeg:?width=640&height=360&command=ffmpeg -i 'rtsp://h/a?x=1&y=%20' -",
            Command(("ffmpeg", "-i", "rtsp://h/a?x=1&y=%20", "-"), 640, 360),
        ),
    ],
)
def test_every_kind_is_read(address, wanted) -> None:
    assert parse(address) == wanted


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("rtsp://", "rtsp://host:port/path"),
        ("rtsp://host:port/x", "rtsp://host:port/path"),
        ("rtsp://host:99999/x", "rtsp://host:port/path"),
        ("rtsp://ho st/x", "rtsp://host:port/path"),
        ("webcam:", "webcam:0"),
        ("webcam:/dev/video0", "webcam:0"),
        ("webcam:0?width=wide", "width is a whole number"),
        ("file:", "needs a path"),
        ("file:clip.mp4?lop=1", "no option lop; there are: loop, realtime"),
        ("file:clip.mp4?loop=yes", "loop is 0 or 1"),
        ("folder:x?fps=0", "fps is a number above 0"),
        ("folder:x?fps=nan", "fps is a number above 0"),
        ("synthetic:?width=8", "set width and height"),
        ("synthetic:?seed=9999999999", "seed is a whole number"),
        ("ffmpeg:ffmpeg -i x -", "is written ffmpeg:"),
        ("ffmpeg:?width=64&height=64&command=", "is written ffmpeg:"),
        ("ffmpeg:?height=64&command=cat x", "set width and height"),
        ("ffmpeg:?width=64&height=64&fps=3&command=cat x", "no option fps"),
        ("ffmpeg:?width=20000&height=20000&command=cat x", "20000x20000"),
        ("ffmpeg:?width=64&height=64&command=cat 'x", "cannot be split"),
        ("http://x/y", "no kind of source"),
    ],
)
def test_every_mistake_is_a_sentence(address, said) -> None:
    with pytest.raises(ConfigError, match=r"^[a-z]") as caught:
        parse(address)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["rtsp://me:hunter2@ho st/x", "ffmpeg:?width=1&height=1&command=ffmpeg -i rtsp://me:hunter2@h"],
)
def test_no_mistake_repeats_a_password(address) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(address)
    assert "hunter2" not in str(caught.value)


def test_an_rtsp_address_knows_its_host_and_port() -> None:
    there = parse("rtsp://me:pass@10.0.0.7:8554/live")
    assert isinstance(there, Rtsp)
    assert (there.host, there.port) == ("10.0.0.7", 8554)
    assert Rtsp("rtsp://h/x").port == 554
    assert Rtsp("rtsps://h/x").port == 322


@pytest.mark.parametrize(
    ("size", "usable"),
    [
        ((16, 16), True),
        ((15, 100), False),
        ((1, 1), False),
        ((0, 0), False),
        ((16_384, 3000), True),
        ((16_385, 3000), False),
        ((8000, 8000), True),
        ((8001, 8000), False),
    ],
)
def test_only_sizes_that_can_be_used_are_taken(size, usable) -> None:
    if usable:
        check_size(*size)
        return
    with pytest.raises(Damaged, match=f"{size[0]}x{size[1]} pixels"):
        check_size(*size)


def test_logins_are_taken_out_of_what_is_said() -> None:
    said = "cannot open rtsp://me:a@b@10.0.0.7/x, nor http://you@there/y; mail me@home"
    assert redact(said) == "cannot open rtsp://…@10.0.0.7/x, nor http://…@there/y; mail me@home"
