"""What has been announced to Home Assistant, and how it is taken back. Pure.

Home Assistant forgets a component only when it is told to, and only if it has it at that
moment: a component that is left out of a payload stays, and a removal that comes while Home
Assistant is away is lost, although its registry keeps the entity. So what was announced before
is remembered; and when Home Assistant comes it is told once more what it may still know, and
then that it is gone. A component's key says its platform, so none is ever of another kind.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Announced:
    """One device, as it is announced."""

    prefix: str
    """The discovery prefix."""
    device: str
    """Its id, a level of the topic."""
    payload: bytes
    """JSON; empty: it is taken away."""
    former: bytes | None = None
    """JSON with everything that Home Assistant may know though it is announced no more."""

    @property
    def forgotten(self) -> bool:
        """Whether nobody needs to remember it."""
        return not self.payload and self.former is None

    def greeted(self) -> "Announced":
        """Return it as it is once Home Assistant has heard everything."""
        return replace(self, former=None)

    def messages(self, *, came: bool) -> list[bytes]:
        """Return what is to be published, in order, the last of it for good.

        Between two of them Home Assistant needs some time: of a payload that comes while it
        works on the one before, it takes up only a part.

        Args:
            came: Home Assistant has just come: it knows nothing of what was said meanwhile.
        """
        if self.former is None:
            return [self.payload]
        known = [self.former] if came else []
        if not self.payload:
            return [*known, b""]
        payload = json.loads(self.payload)
        farewell = payload | {"components": _farewell(json.loads(self.former), payload)}
        return [*known, _encode(farewell), self.payload]


def plan(
    before: Iterable[Announced], prefix: str, wanted: Mapping[str, Payload]
) -> list[Announced]:
    """Return what is to be announced from now on, and what of the past is to be taken away.

    Args:
        before: What was announced by the process before this one.
        prefix: The discovery prefix.
        wanted: The payload of each device by its id.
    """
    payloads = {(prefix, device): _encode(payload) for device, payload in wanted.items()}
    known = {(each.prefix, each.device): each for each in before}
    found = [
        _next(known.get(key) or Announced(*key, payload), payload)
        for key, payload in payloads.items()
    ]
    found += [_next(each, b"") for key, each in known.items() if key not in payloads]
    kept = [each for each in found if not each.forgotten]
    return sorted(kept, key=lambda each: (each.prefix, each.device))


def _next(before: Announced, payload: bytes) -> Announced:
    past = [json.loads(text) for text in (before.former, before.payload) if text]
    components = {key: each for one in past for key, each in one["components"].items()}
    wanted = json.loads(payload)["components"] if payload else {}
    if components.keys() <= wanted.keys():
        return replace(before, payload=payload, former=None)
    former = past[-1] | {"components": components}
    return replace(before, payload=payload, former=_encode(former))


def _farewell(former: Payload, payload: Payload) -> dict[str, Payload]:
    """Return the components with those that are gone among them: a platform and nothing else."""
    gone = {key: {"platform": each["platform"]} for key, each in former["components"].items()}
    wanted: dict[str, Payload] = payload["components"]
    return gone | wanted


def _encode(payload: Payload) -> bytes:
    return json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
