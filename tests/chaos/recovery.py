"""When everything worked again, told by what an independent listener heard. Pure.

A part has recovered when every status (of services, Triton and cameras) is `online` again and
stays so for `STEADY_NS`, the detector has looked at a frame that was captured after the kill
or the thaw, and a killed subscriber has its replay, a frozen one says that it lives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.chaos.truth import SECOND

STEADY_NS = 2 * SECOND
SERVICES = ("producers", "detector", "triton", "classifier")


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that was heard."""

    at_ns: int
    kind: Literal["status", "seen", "replayed"]
    name: str
    """Of the service or camera."""
    value: str = ""
    """Of a status."""
    captured_ns: int = 0
    """Of the frame up to which the detector has looked."""


def must_say_again(component: str, kind: str, names: Sequence[str]) -> set[str]:
    """Return whose `online` must be heard anew after a fault.

    What was killed has to come back; after a broker's death the listener knows nothing.
    """
    if kind == "freeze" or component == "subscriber":
        return set()
    if component == "broker":
        return set(names)
    again = {component}
    if component == "producers":
        again |= {name for name in names if name not in SERVICES}
    if component == "detector":
        again.add("triton")
    return again


def recovered_ns(
    component: str, kind: str, over_ns: int, heard: Sequence[Heard], names: Sequence[str]
) -> int | None:
    """Return when everything worked again; None: not yet.

    Args:
        component: What was killed or frozen.
        kind: `kill` or `freeze`.
        over_ns: The moment of the kill or of the thaw.
        heard: Everything, in order.
        names: Services and cameras that have a status.
    """
    states = dict.fromkeys(names, "")
    for event in heard:
        if event.kind == "status" and event.at_ns <= over_ns:
            states[event.name] = event.value
    for name in must_say_again(component, kind, names):
        states[name] = ""
    looked, replayed = False, component != "subscriber"
    since_ns: int | None = None
    last_ns = over_ns
    for event in heard:
        if event.at_ns <= over_ns:
            continue
        if since_ns is not None and event.at_ns - since_ns >= STEADY_NS:
            return since_ns
        last_ns = event.at_ns
        if event.kind == "status":
            states[event.name] = event.value
        looked |= event.kind == "seen" and event.captured_ns > over_ns
        replayed |= event.kind == "replayed"
        well = looked and replayed and all(states[name] == "online" for name in names)
        since_ns = (since_ns or event.at_ns) if well else None
    return since_ns if since_ns is not None and last_ns - since_ns >= STEADY_NS else None
