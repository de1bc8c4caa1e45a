"""What a camera's `source` may be, and how it is written. Opens nothing but what it is asked to.

rtsp://host[:port]/path         a network camera (rtsps:// with TLS)
webcam:N                        /dev/videoN; ?width=&height= ask for a size
file:clip.mp4                   a clip, in real time, once;
                                ?loop=1 for ever, ?realtime=0 as fast as it goes,
                                ?gate=PIPE only when a byte comes (see `producers.gate`)
folder:pictures                 its pictures by name; ?fps= (default: the camera's),
                                ?loop=, ?realtime=, ?gate=
synthetic:                      drawn scenes; ?seed=, ?width=, ?height=, ?fps=,
                                ?labels=a,b, ?seconds= (default: for ever), ?realtime=
ffmpeg:?width=W&height=H&command=ARGUMENTS
                                a program that writes raw BGR pictures of that size to its
                                standard output. Everything after `command=` belongs to the
                                command as it is; it is split like a shell would, and no
                                shell runs it.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from producers.options import Options
from secondlook.errors import ConfigError, SourceError

SMALLEST = 16
LARGEST = 16_384
MOST_PIXELS = 64_000_000
_LOGIN = re.compile(r"//[^/\s]*@")


class Damaged(SourceError):
    """One picture cannot be used; the next one may be."""


class LoginRefused(SourceError):
    """The camera refuses the username and password: asking often would lock us out."""


class SourceEnded(Exception):
    """There are no more pictures, and that is as it should be."""


class Source(Protocol):
    """An opened source. Made, read and closed by one thread."""

    live: bool
    """The newest picture is worth more than every picture."""
    may_stand_still: bool
    """A picture that does not change says nothing about the source."""
    fps: float | None
    """Its own pictures per second, where it knows them."""

    def grab(self) -> int:
        """Wait for the next picture and return its time within the run, in nanoseconds.

        Raises:
            SourceError: The source cannot be read any more.
            SourceEnded: There are no more pictures.
        """

    def picture(self) -> NDArray[np.uint8]:
        """Return the picture grabbed last, uint8 [height, width, 3], BGR, ours to change.

        Raises:
            Damaged: This picture cannot be used.
            SourceError: The source cannot be read any more.
        """

    def close(self) -> None:
        """Let go of the device, the file or the connection."""


@dataclass(frozen=True, slots=True)
class Rtsp:
    """A network camera."""

    url: str
    """Secret: it may hold a password."""

    @property
    def host(self) -> str:
        """Name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """554, or 322 with TLS, unless the address says otherwise."""
        parts = urlsplit(self.url)
        return parts.port or (322 if parts.scheme == "rtsps" else 554)


@dataclass(frozen=True, slots=True)
class Webcam:
    """A camera of this machine."""

    number: int
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class Clip:
    """A video file."""

    path: Path
    loop: bool
    realtime: bool
    gate: Path | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """Pictures in a folder."""

    path: Path
    fps: float | None
    loop: bool
    realtime: bool
    gate: Path | None = None


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Scenes drawn by the demo kit."""

    seed: int
    width: int
    height: int
    fps: float | None
    labels: tuple[str, ...]
    seconds: float | None
    realtime: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A program that writes raw pictures."""

    arguments: tuple[str, ...]
    """Secret: they may hold a password."""
    width: int
    height: int


Address = Rtsp | Webcam | Clip | Folder | Synthetic | Command


def parse(address: str) -> Address:
    """Read a camera's source.

    Raises:
        ConfigError: It is not written as this module describes. The text repeats no secret.
    """
    scheme, _, rest = address.partition(":")
    if scheme in ("rtsp", "rtsps"):
        return _rtsp(address)
    if scheme == "ffmpeg":
        return _command(rest)
    place, _, query = rest.partition("?")
    if place.startswith("//"):
        place = "/" + place.lstrip("/")  # file:///clip.mp4
    options = Options(scheme, query)
    found: Address
    match scheme:
        case "webcam":
            if not place.isdecimal():
                raise ConfigError("webcam: needs a number, for instance webcam:0")
            size = options.whole("width", None), options.whole("height", None)
            found = Webcam(int(place), *size)
        case "file":
            found = Clip(
                _named(scheme, place),
                options.flag("loop", False),
                options.flag("realtime", True),
                options.path("gate"),
            )
        case "folder":
            found = Folder(
                _named(scheme, place),
                options.number("fps"),
                options.flag("loop", False),
                options.flag("realtime", True),
                options.path("gate"),
            )
        case "synthetic":
            found = _synthetic(options)
        case _:
            raise ConfigError(f"{scheme}: is no kind of source")
    options.refuse_unknown()
    return found


def check_size(width: int, height: int) -> None:
    """Refuse pictures that nobody can use.

    Raises:
        Damaged: Too small to show anything, or too large to be true.
    """
    smallest, largest = min(width, height), max(width, height)
    if smallest < SMALLEST or largest > LARGEST or width * height > MOST_PIXELS:
        raise Damaged(
            f"its pictures are {width}x{height} pixels; from {SMALLEST}x{SMALLEST} to "
            f"{LARGEST} on a side and {MOST_PIXELS // 1_000_000} million in all can be used"
        )


def redact(text: str) -> str:
    """Return text without the logins of the addresses in it."""
    return _LOGIN.sub("//…@", text)


def _rtsp(url: str) -> Rtsp:
    found = Rtsp(url)
    try:
        usable = bool(found.host) and found.port > 0
    except ValueError:  # what stands for the port is no port
        usable = False
    if not usable or re.search(r"\s", url):
        raise ConfigError(
            "an rtsp address is rtsp://host:port/path; write special characters of a password "
            "as %XX, or use the keys username and password"
        )
    return found


def _named(scheme: str, place: str) -> Path:
    if not place:
        raise ConfigError(f"{scheme}: needs a path, for instance {scheme}:/home/me/example")
    return Path(place).expanduser()


def _synthetic(options: Options) -> Synthetic:
    labels = options.text("labels")
    found = Synthetic(
        seed=options.whole("seed", 1) or 0,
        width=options.whole("width", 1280) or 0,
        height=options.whole("height", 720) or 0,
        fps=options.number("fps"),
        labels=tuple(filter(None, (labels or "").split(","))),
        seconds=options.number("seconds"),
        realtime=options.flag("realtime", True),
    )
    _sized("synthetic", found.width, found.height)
    return found


def _command(rest: str) -> Command:
    head, mark, command = rest.partition("command=")
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"ffmpeg: the command cannot be split: {error}") from error
    if not mark or not arguments or not head.startswith("?"):
        raise ConfigError(
            "ffmpeg: is written ffmpeg:?width=1280&height=720&command=ffmpeg -i … "
            "-f rawvideo -pix_fmt bgr24 -"
        )
    options = Options("ffmpeg", head[1:])
    width, height = options.whole("width", 0) or 0, options.whole("height", 0) or 0
    options.refuse_unknown()
    _sized("ffmpeg", width, height)
    return Command(tuple(arguments), width, height)


def _sized(scheme: str, width: int, height: int) -> None:
    try:
        check_size(width, height)
    except Damaged as error:
        raise ConfigError(f"{scheme}: {error}; set width and height") from error
