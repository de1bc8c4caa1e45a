"""Starts the stack part by part and tells the user how far it is."""

import asyncio
from collections.abc import Callable, Sequence

from rich.console import Console

from secondlook.local.stack import READY_S, SERVICES, Stack, Wish


async def start_all(
    stack: Stack,
    wish: Wish,
    console: Console,
    *,
    services: Sequence[str] = tuple(SERVICES),
    last: Sequence[str] = (),
) -> None:
    """Start everything and wait until it is ready; `last` only once the rest is.

    Raises:
        PartFailed: A part does not get ready.
        InstallError: A part cannot be had on this machine.
    """

    def tell(line: str) -> None:
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)

    started: list[str] = []
    if wish.own_broker:
        tell(f"starting the broker ({stack.start_broker()})")
        started.append("broker")
    if wish.own_triton:
        await stack.start_triton(tell)
        tell("starting Triton with its models")
        started.append("triton")
    together = [name for name in services if name not in last]
    for names in (together, last):
        for name in names:
            tell(f"starting {name}")
            stack.start_service(name)
        await _ready(stack, [*started, *names], tell)
        started = []


async def _ready(stack: Stack, names: Sequence[str], tell: Callable[[str], None]) -> None:
    """Wait for all of them, and say each as it comes."""

    async def one(name: str) -> None:
        seconds = await stack.supervisor.ready(name, READY_S)
        tell(f"{name} is ready ({seconds:.1f} s)")

    waiting = [asyncio.create_task(one(name)) for name in names]
    try:
        await asyncio.gather(*waiting)
    finally:
        for task in waiting:
            task.cancel()
