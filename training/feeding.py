"""Makes varied batches ahead, in processes: threads of one Python would wait for each other.

A GPU takes thousands of crops a second, and varying one takes a millisecond or two.
"""

import mmap
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from multiprocessing.pool import AsyncResult

import cv2
import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Make = Callable[[int], tuple[Images, Indices]]
"""Makes batch number n; every batch has the same shape."""

PROCESSES = max(1, (os.cpu_count() or 2) - 1)
_PATIENCE_S = 120.0
"""A batch that takes longer never comes."""
_AHEAD = 2
"""Batches that each process may be ahead."""


@dataclass(slots=True)
class _Work:
    """What a child has from its parent by the fork alone: nothing of it is sent."""

    make: Make
    slots: list[mmap.mmap]
    shape: tuple[int, ...]


_work: list[_Work] = []


def can_feed() -> bool:
    """Return whether this system can fork, which hands a child all crops without a copy."""
    return "fork" in multiprocessing.get_all_start_methods() and os.name == "posix"


def feed(
    make: Make, shape: tuple[int, ...], processes: int = PROCESSES
) -> Generator[tuple[Images, Indices]]:
    """Yield batches 0, 1, 2 … for ever.

    Args:
        make: Makes the batch of a number; it must not touch a GPU.
        shape: Of its images, (n, side, side, 3).
        processes: So many work at once.
    """
    count = _AHEAD * processes
    # Memory without a name: containers often have next to none under /dev/shm.
    slots = [mmap.mmap(-1, int(np.prod(shape))) for _ in range(count)]
    _work[:] = [_Work(make, slots, shape)]
    threads = cv2.getNumThreads()
    # OpenCV's threads do not survive a fork, and a child that waits for them waits for ever.
    cv2.setNumThreads(1)
    pool = multiprocessing.get_context("fork").Pool(processes)
    cv2.setNumThreads(threads)
    try:
        ahead: deque[AsyncResult[Indices]] = deque(
            pool.apply_async(_put, (number, number)) for number in range(count)
        )
        number = count
        while True:
            slot = number % count
            truth = ahead.popleft().get(_PATIENCE_S)
            yield np.ndarray(shape, np.uint8, slots[slot]).copy(), truth
            ahead.append(pool.apply_async(_put, (number, slot)))
            number += 1
    finally:
        pool.terminate()
        pool.join()


def _put(number: int, slot: int) -> Indices:
    work = _work[0]
    images, truth = work.make(number)
    np.ndarray(work.shape, np.uint8, work.slots[slot])[:] = images
    return truth
