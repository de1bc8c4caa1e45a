"""Starts the stack part by part and tells the user how far it is."""

import asyncio
from collections.abc import Callable, Sequence

from rich.console import Console

from secondlook.local.stack import READY_S, SERVICES, Stack, Wish
from secondlook.local.supervisor import PartFailed

OWN_BROKER = (
    "the login of `mqtt` is not used: this is a broker of its own, for this machine alone and "
    "without a password; say --no-broker if you mean one that runs here already"
)


async def start_all(
    stack: Stack,
    wish: Wish,
    console: Console,
    *,
    services: Sequence[str] = tuple(SERVICES),
    last: Sequence[str] = (),
    patient: bool = False,
) -> None:
    """Start everything and wait until it is ready.

    Args:
        stack: Whose parts to start.
        wish: What the user asked for.
        console: Is told how far it is.
        services: The services to start.
        last: Those of them that are started only once the rest is ready.
        patient: Go on without what is not ready in time: it keeps trying.

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
        await _ready(stack, [*started, *names], tell, patient=patient)
        started = []


async def _ready(
    stack: Stack, names: Sequence[str], tell: Callable[[str], None], *, patient: bool
) -> None:
    """Wait for all of them, and say each as it comes."""

    async def one(name: str) -> None:
        try:
            seconds = await stack.supervisor.ready(name, READY_S)
        except PartFailed as error:
            if stack.supervisor.failed.done() or not patient:
                raise
            tell(f"{error}\n  {name} keeps trying")
        else:
            tell(f"{name} is ready ({seconds:.1f} s)")

    waiting = [asyncio.create_task(one(name)) for name in names]
    try:
        await asyncio.gather(*waiting)
    finally:
        for task in waiting:
            task.cancel()
