"""Writes frames as an H.264 clip, by ffmpeg in a process of its own."""

import contextlib
import itertools
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import click

from producers.cards import Image


def ffmpeg() -> str:
    """Return the path of an ffmpeg: the installed one, or the one that a Python package brings.

    Raises:
        click.ClickException: There is none.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - only where no ffmpeg is installed
    except ImportError:
        raise click.ClickException(
            "no ffmpeg here: apt install ffmpeg, or pip install imageio-ffmpeg"
        ) from None
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def write_clip(
    path: Path,
    frames: Iterable[Image],
    fps: float,
    *,
    crf: int = 24,
    preset: str = "medium",
    kilobits: int | None = None,
) -> None:
    """Write a clip; it appears under its name when it is whole.

    Args:
        path: Where; its ending says the container.
        frames: (height, width, 3) uint8 BGR, all of one size, at least one.
        fps: Frames per second.
        crf: H.264's constant rate factor: the higher, the coarser.
        preset: x264's name for how much time to take.
        kilobits: At most so many a second, as cameras limit their streams; None: no limit.

    Raises:
        click.ClickException: There is no ffmpeg, or it failed.
    """
    coming = iter(frames)
    first = next(coming)
    limit = ["-maxrate", f"{kilobits}k", "-bufsize", f"{2 * kilobits}k"] if kilobits else []
    part = path.with_name(f".{path.name}.part{path.suffix}")
    command = [
        ffmpeg(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "bgr24",
        "-s", f"{first.shape[1]}x{first.shape[0]}", "-r", f"{fps:g}", "-i", "-", "-c:v", "libx264",
        "-crf", str(crf), *limit, "-preset", preset, "-threads", "1", "-g", str(round(fps * 2)),
        "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(part),
    ]  # fmt: skip
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
            assert encoder.stdin is not None  # noqa: S101 - it was asked for above
            # A pipe that breaks means that ffmpeg has failed and said why.
            with contextlib.suppress(BrokenPipeError):
                for frame in itertools.chain([first], coming):
                    encoder.stdin.write(frame.tobytes())
        if encoder.returncode:
            raise click.ClickException(f"ffmpeg could not write {path}, code {encoder.returncode}")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
