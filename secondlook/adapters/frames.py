"""The frame store: pictures as immutable files in memory, named by their FrameRef.

`<directory>/<camera>/<frame id>.bgr` holds the pixels and nothing else: 8-bit BGR rows from
the top, without padding. The writer alone removes files. A reader that has mapped one keeps
its pixels for as long as it holds the array, also when the file is gone meanwhile.
"""

import contextlib
import errno
import math
import mmap
import os
import re
import stat
from collections import deque
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secondlook.adapters.ownership import (
    GROUP_FILE_MODE,
    lock,
    make_private,
    private_file,
    set_group_reading,
)
from secondlook.errors import ConfigError, FrameExpired, StoreFull, StoreTooSmall
from secondlook.messages import FrameRef

FEWEST = 4
"""Frames per camera: one being written, one announced, two in the detector's hands."""
MB = 1_000_000
LOCK = ".lock"
LOCK_WAIT_S = 5.0
"""A killed writer may take a moment to be gone."""
USABLE = 0.9
"""The part of the filesystem that frames may take; models' tensors share it."""
_OURS = re.compile(r"[a-z0-9_]{1,32}-[0-9]{1,20}\.(bgr|part)")
_CAMERA = re.compile(r"[a-z0-9_]{1,32}")


def _path(directory: Path, ref: FrameRef) -> Path:
    # Made of the camera (a slug) and a number, whatever else came with the message.
    return directory / ref.camera / f"{ref.camera}-{ref.captured_ns:d}.bgr"


class FrameWriter:
    """Writes the frames of one camera; its oldest frames make room.

    Args:
        directory: The store's folder, shared by all cameras.
        camera: Its slug.
        budget_bytes: This camera's share of the store.
        cameras: How many share the store, for the sentence that says what to set.
        group_readable: The folder's group may read the frames too; nobody else ever may.

    Raises:
        ConfigError: The folder cannot be used, or another producer writes this camera's frames.
    """

    def __init__(
        self,
        directory: Path,
        camera: str,
        budget_bytes: int,
        *,
        cameras: int = 1,
        group_readable: bool = False,
    ) -> None:
        self._directory = directory
        self._camera = camera
        self._budget = budget_bytes
        self._cameras = cameras
        self._files: deque[tuple[Path, int]] = deque()
        self._used = 0
        self._fits: int | None = None
        self._group_readable = group_readable
        self._lock = _take(directory, camera)
        _remove_leftovers(directory / camera)
        _open_to_group(directory, camera, group_readable=group_readable)

    def write(self, ref: FrameRef, image: NDArray[np.uint8]) -> None:
        """Store a frame under `ref`, whole or not at all.

        Args:
            ref: Says where; its width and height must be the image's.
            image: uint8 [height, width, 3], BGR.

        Raises:
            StoreFull: There is no room for it now.
            StoreTooSmall: This camera's frames can never fit; the text says what to set.
            ValueError: `ref` describes another image or another camera.
        """
        if image.shape != (ref.height, ref.width, 3) or image.dtype != np.uint8:
            raise ValueError(f"{ref.id} is not a picture of shape {image.shape}, {image.dtype}")
        if ref.camera != self._camera:
            raise ValueError(f"{ref.id} is not a frame of {self._camera}")
        if self._fits != ref.size_bytes:
            self._check_size(ref)
        while self._files and self._used + ref.size_bytes > self._budget:
            self._remove_oldest()
        final = _path(self._directory, ref)
        part = final.with_suffix(".part")
        try:
            _write_file(part, np.ascontiguousarray(image), group_readable=self._group_readable)
        except OSError as error:
            part.unlink(missing_ok=True)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM):
                raise StoreFull(f"{self._directory}: {error.strerror}") from error
            # The next frame finds more room than this one did.
            if len(self._files) >= FEWEST:
                self._remove_oldest()
            raise StoreFull(f"{self._directory} is full: nothing more can be stored") from error
        # A reader sees the whole frame or none: rename is atomic within one filesystem.
        part.rename(final)
        self._files.append((final, ref.size_bytes))
        self._used += ref.size_bytes

    def close(self) -> None:
        """Remove this camera's frames."""
        while self._files:
            self._remove_oldest()
        os.close(self._lock)

    def _remove_oldest(self) -> None:
        path, size = self._files.popleft()
        path.unlink(missing_ok=True)
        self._used -= size

    def _check_size(self, ref: FrameRef) -> None:
        needed = FEWEST * ref.size_bytes
        frames = f"{FEWEST} frames of {ref.width}x{ref.height} for each of {self._cameras} cameras"
        if needed > self._budget:
            least = math.ceil(needed * self._cameras / MB)
            raise StoreTooSmall(
                f"frames.max_mb: at least {least} is needed, because of camera {ref.camera}: "
                f"{frames} (or give the camera a max_width)"
            )
        disk = os.statvfs(self._directory)
        share = int(disk.f_frsize * disk.f_blocks * USABLE / self._cameras)
        if needed > share:
            least = math.ceil(needed * self._cameras / USABLE / MB)
            raise StoreTooSmall(
                f"frames.directory: {self._directory} lies on a filesystem of "
                f"{disk.f_frsize * disk.f_blocks // MB} MB and needs {least} MB, because of camera "
                f"{ref.camera}: {frames}; enlarge it (in a container: shm_size) or give the camera "
                "a max_width"
            )
        self._budget = min(self._budget, share)
        self._fits = ref.size_bytes


class FrameReader:
    """Reads frames of every camera in a store."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, ref: FrameRef) -> NDArray[np.uint8]:
        """Return the pixels of a frame, mapped: no copy, and not writable.

        Returns:
            uint8 [height, width, 3], BGR.

        Raises:
            FrameExpired: The frame is gone, or what lies in its place is not that frame.
        """
        # O_NONBLOCK: a pipe in a frame's place would keep the reader waiting for ever.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            file = os.open(_path(self._directory, ref), flags)
        except OSError as error:
            raise FrameExpired(f"{ref.id} is gone: {error.strerror}") from error
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size != ref.size_bytes:
                raise FrameExpired(
                    f"{ref.id} should have {ref.size_bytes} bytes and has {found.st_size}"
                )
            mapped = mmap.mmap(file, ref.size_bytes, prot=mmap.PROT_READ)
        except OSError as error:
            raise FrameExpired(f"{ref.id} cannot be mapped: {error.strerror}") from error
        finally:
            os.close(file)
        return np.frombuffer(mapped, np.uint8).reshape(ref.height, ref.width, 3)


def sweep(directory: Path) -> int:
    """Remove what writers that are gone left behind; return how many frames that were.

    Folders of living writers, and whatever does not look like ours, are left alone.
    """
    removed = 0
    with contextlib.suppress(FileNotFoundError):
        for folder in directory.iterdir():
            if not _CAMERA.fullmatch(folder.name) or not (folder / LOCK).is_file():
                continue
            with contextlib.suppress(ConfigError, OSError):
                held = _take(directory, folder.name, wait_s=0)
                try:
                    removed += _remove_leftovers(folder)
                finally:
                    os.close(held)
    return removed


def _take(directory: Path, camera: str, wait_s: float = LOCK_WAIT_S) -> int:
    """Make the camera's folder ours alone; return the open lock, which dies with its owner."""
    folder = directory / camera
    try:
        make_private(folder)  # pictures of people's homes
        if folder.is_symlink():
            raise ConfigError(f"frames.directory: {folder} is a link; remove it")
        return lock(folder / LOCK, wait_s)
    except BlockingIOError:
        raise ConfigError(
            f"frames.directory: another producer writes frames of camera {camera} into "
            f"{directory}; stop it, or give this one a folder of its own"
        ) from None
    except OSError as error:
        raise ConfigError(f"frames.directory: {folder}: {error.strerror}") from error


def _open_to_group(directory: Path, camera: str, *, group_readable: bool) -> None:
    try:
        if group_readable:
            set_group_reading(directory, allowed=True)
        set_group_reading(directory / camera, allowed=group_readable)
    except OSError as error:
        raise ConfigError(f"frames.group_readable: {directory}: {error.strerror}") from error


def _remove_leftovers(folder: Path) -> int:
    leftovers = [path for path in folder.iterdir() if _OURS.fullmatch(path.name)]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


def _write_file(path: Path, image: NDArray[np.uint8], *, group_readable: bool) -> None:
    file = private_file(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        if group_readable:
            os.fchmod(file, GROUP_FILE_MODE)  # whatever the umask
        left = image.data.cast("B")
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)
