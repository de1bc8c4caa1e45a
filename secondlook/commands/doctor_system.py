"""What `secondlook doctor` hears of a running system."""

import asyncio
import time
from collections.abc import Callable

from pydantic import JsonValue
from rich.console import Console

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.subscriptions import Delivery
from secondlook.commands.diagnosis import Facts
from secondlook.commands.listening import listen
from secondlook.commands.trying import warnings_of
from secondlook.config import Mqtt
from secondlook.service import STATS_EVERY_S

CONNECT_S = 6.0
SETTLE_S = 1.0
"""What is retained has come after this long."""
LISTEN_S = 2 * STATS_EVERY_S + 3.0
"""Growth is known when numbers have come twice."""

WHY = f"rates are known when numbers have come twice, and they come every {STATS_EVERY_S:.0f} s"


async def listen_to(mqtt: Mqtt, console: Console, patience_s: float = LISTEN_S) -> Facts:
    """Listen to a system until everyone has been heard.

    Args:
        mqtt: Its broker.
        console: Is told how long that may take.
        patience_s: The longest time to listen.
    """
    facts = Facts(f"{mqtt.host}:{mqtt.port}", mqtt.root)
    with warnings_of("secondlook.adapters.bus") as said:
        async with Bus(mqtt, service=f"doctor-{time.time_ns():x}") as bus:
            listeners = _listen(bus, facts)
            began = time.monotonic()
            if not console.is_terminal:
                console.print(f"listening to {facts.where}, up to {patience_s:.0f} s: {WHY}")
            with console.status("") as status:
                while not _is_enough(facts, time.monotonic() - began, patience_s):
                    status.update(_progress(facts, patience_s))
                    await asyncio.sleep(0.1)
                    facts.connected |= bus.connected
                    facts.patience_s = time.monotonic() - began
            for listener in listeners:
                listener.cancel()
    facts.why = said[-1] if said else ""
    return facts


def _progress(facts: Facts, patience_s: float) -> str:
    if not facts.connected:
        return f"connecting to {facts.where} …"
    said = ", ".join(facts.awaited) or "anyone"
    left_s = max(0.0, patience_s - facts.patience_s)
    return f"listening to {facts.where} for the numbers of {said}, {left_s:.0f} s at most: {WHY} …"


def _is_enough(facts: Facts, waited_s: float, patience_s: float) -> bool:
    if not facts.connected:
        return waited_s > CONNECT_S
    silent = not facts.services and waited_s > CONNECT_S
    return silent or waited_s > patience_s or (waited_s > SETTLE_S and facts.complete)


def _listen(bus: Bus, facts: Facts) -> list[asyncio.Task[None]]:
    def armed(delivery: Delivery[JsonValue]) -> None:
        if delivery.levels["key"] == "armed":
            facts.armed[delivery.levels["camera"]] = delivery.message is True

    def state(delivery: Delivery[topics.OnOff]) -> None:
        key = (delivery.levels["camera"], delivery.levels["label"])
        facts.open.add(key) if delivery.message == "ON" else facts.open.discard(key)

    def keep(key: str, values: dict[str, str]) -> Callable[[Delivery[topics.OnlineOffline]], None]:
        return lambda d: values.update({d.levels[key]: d.message})

    return [
        listen(bus, topics.STATUS, keep("service", facts.services)),
        listen(bus, topics.CAMERA_STATUS, keep("camera", facts.cameras)),
        listen(bus, topics.CONFIG, armed),
        listen(bus, topics.STATE, state),
        listen(bus, topics.STATS, lambda d: facts.counted.take(d.message)),
        listen(bus, topics.VERDICTS, lambda d: facts.verdicts.append(d.message)),
        listen(bus, topics.BLIND, lambda d: facts.blind.append(d.message)),
        listen(bus, topics.DEAD_LETTERS, lambda d: facts.letters.append(d.message)),
    ]
