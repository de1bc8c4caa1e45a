"""What `secondlook doctor` looks at where one service runs, as in its container.

Two pieces of memory are shared between containers, and each can be missing without a word: the
frame store, without which nothing is seen, and the memory that Triton maps, without which pictures
travel inside the requests.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from secondlook.adapters.triton import Triton
from secondlook.commands.finding import Finding
from secondlook.config import Config
from secondlook.errors import SecondLookError
from secondlook.local.folders import SHM, free_mb

MB = 1_000_000
IN_MEMORY = ("tmpfs", "ramfs")
TENSORS_MB = 64
"""Room for the tensors of two models at their usual sizes."""
ROOM_MB = 500
WITHOUT_SHARING = (
    "each picture travels inside a request instead (1.2 MB at 640x640), which costs the detector "
    "a third more processor time per call: half a millisecond on a PC, more on a board"
)


def looks(service: str, config: Config) -> Iterator[Finding]:
    """Yield what a service has and lacks, from inside its container or on its machine.

    Args:
        service: producers, detector or classifier.
        config: Its configuration.
    """
    yield from _frames(service, config)
    if service != "producers":
        yield from _room_for_tensors()
        yield asyncio.run(_sharing(config))
        kept = config.detector.spool.directory
        yield _data(kept if service == "detector" else config.classifier.database.parent)


def _frames(service: str, config: Config) -> Iterator[Finding]:
    folder = config.frames.directory
    writes = service == "producers"
    if not folder.is_dir() and not writes:
        advice = (
            "producers and detector must share it; without it no frame is seen at all "
            "(compose: the volume `frames`)"
        )
        yield Finding("missing", f"no folder for frames at {folder}", advice)
        return
    found, kind = _mount_of(folder)
    total = _size_mb(folder)
    if kind not in IN_MEMORY:
        advice = (
            f"{found} is {kind}: every frame (6 MB at 1920x1080) is written to a disk; mount a "
            "tmpfs there that producers and detector share (compose: the volume `frames`)"
        )
        yield Finding("lacking", f"frames in {folder} are not kept in memory", advice)
    elif total < config.frames.max_mb:
        advice = f"frames.max_mb is {config.frames.max_mb}: enlarge the tmpfs, or lower it"
        yield Finding("lacking", f"frames in {folder}: room for {total} MB in memory", advice)
    else:
        yield Finding("ok", f"frames in {folder}: room for {total} MB in memory")
    writable = os.access(_there(folder), os.W_OK)
    if writes and not writable:
        advice = "it needs to belong to the user that the producers run as"
        yield Finding("missing", f"{folder} cannot be written", advice)
    elif writable and not writes:
        advice = f"the {service} only reads there: mount it read-only"
        yield Finding("lacking", f"{folder} could be written by the {service}", advice)


def _room_for_tensors() -> Iterator[Finding]:
    if not SHM.is_dir():
        yield Finding("lacking", f"no {SHM}", WITHOUT_SHARING)
    elif (free := free_mb(SHM)) < TENSORS_MB:
        advice = f"keep {TENSORS_MB} MB for what Triton shares (compose: SHM_MB); {WITHOUT_SHARING}"
        yield Finding("lacking", f"{SHM} has {free} MB free", advice)
    else:
        yield Finding("ok", f"{SHM} has {free} MB free")


async def _sharing(config: Config) -> Finding:
    server = config.triton
    where = f"Triton at {server.url}"
    try:
        async with Triton(server.url, deadline_s=server.deadline_s) as triton:
            why = await triton.unshared()
    except SecondLookError as error:
        return Finding("lacking", str(error), "nothing is judged until it answers")
    if server.shared_memory == "off":
        return Finding("ok", f"{where} answers; memory is not shared, as triton.shared_memory says")
    if why:
        advice = f"{WITHOUT_SHARING}. Let both share {SHM} (compose: the volume `tensors`): {why}"
        return Finding("lacking", f"{where} does not see this memory", advice)
    return Finding("ok", f"{where} answers and shares this memory")


def _data(folder: Path) -> Finding:
    there = _there(folder)
    if not os.access(there, os.W_OK):
        return Finding("missing", f"{there} cannot be written", "crops and alerts are kept there")
    free = free_mb(there)
    advice = "" if free >= ROOM_MB else f"keep {ROOM_MB} MB free for crops and alerts"
    return Finding("lacking" if advice else "ok", f"{folder} has {free} MB free", advice)


def _there(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists: the service makes the rest."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def _size_mb(folder: Path) -> int:
    disk = os.statvfs(_there(folder))
    return round(disk.f_frsize * disk.f_blocks / MB)


def _mount_of(folder: Path) -> tuple[str, str]:
    """Return where the filesystem of a folder is mounted, and its kind."""
    found = ("/", "unknown")
    wanted = str(folder.resolve())
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_ = line.split()
        # The last of several mounts on one place is the one that is seen.
        if (wanted + "/").startswith(place.rstrip("/") + "/") and len(place) >= len(found[0]):
            found = place, kind
    return found
