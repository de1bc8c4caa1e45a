"""How things stand, in a line or two for people. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

Level = Literal["alert", "wrong", "well"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A camera as the summary needs it."""

    name: str
    unwatched: str | None
    """Why nobody watches it."""
    on: list[str]
    """Labels of open episodes."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the summary."""

    level: Level
    text: str

    def view(self) -> JsonValue:
        """Return what the browser gets."""
        return {"level": self.level, "text": self.text}


def summarise(cameras: Sequence[Seen], connected: bool) -> list[Line]:
    """Return the lines, the most urgent first.

    Args:
        cameras: All of them.
        connected: Whether there is a broker; without one nothing else is known.
    """
    if not connected:
        return [Line("wrong", "No broker: what you see is old. Trying again until it answers.")]
    lines = [Line("alert", f"Alert: {', '.join(c.on)} at {c.name}") for c in cameras if c.on]
    reasons: dict[str, list[str]] = {}
    for camera in cameras:
        if camera.unwatched:
            reasons.setdefault(camera.unwatched, []).append(camera.name)
    for why, names in reasons.items():
        which = "any camera" if len(names) == len(cameras) > 1 else ", ".join(names)
        lines.append(Line("wrong", f"Not watching {which}: {why}"))
    if not lines:
        which = cameras[0].name if len(cameras) == 1 else f"{len(cameras)} cameras"
        lines.append(Line("well", f"Watching {which}"))
    return lines
