"""What the service and its capture processes say to each other: one JSON line each. No pipes.

The service says one `Order` and then nothing: the end of its pipe is the end of the process.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from secondlook.config import Motion, Polygon
from secondlook.messages import FrameRef


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    def line(self) -> bytes:
        """Return the message as a line."""
        return self.model_dump_json().encode() + b"\n"


class Order(_Line):
    """Capture this camera."""

    camera: str
    address: str = Field(repr=False)
    """Secret; that is why it comes through a pipe and not as an argument."""
    fps: float
    max_width: int | None
    zones: list[Polygon]
    masks: list[Polygon]
    motion: Motion
    blank_after_s: float
    directory: Path
    budget_bytes: int
    cameras: int
    group_readable: bool = False


class Opening(_Line):
    """The source is about to be tried."""

    kind: Literal["opening"] = "opening"


class Opened(_Line):
    """A run begins: the source is open."""

    kind: Literal["opened"] = "opened"
    run: str
    fps: float | None
    """The source's own rate, where it knows it."""


class Captured(_Line):
    """A frame lies in the store."""

    kind: Literal["captured"] = "captured"
    ref: FrameRef


class Counted(_Line):
    """What happened since the last such line; also a sign of life."""

    kind: Literal["counted"] = "counted"
    grabbed: int
    """Pictures that the source gave."""
    seen: int
    """Pictures that were good, kept by the pace and looked at."""
    dropped: dict[str, int]
    """By cause: paced, late, motion, blank, unreadable, store_full."""


class Blind(_Line):
    """Pictures come, but nothing can be seen in them."""

    kind: Literal["blind"] = "blind"
    why: str


class Seeing(_Line):
    """Pictures show something again."""

    kind: Literal["seeing"] = "seeing"


class Complaint(_Line):
    """Something is wrong with single pictures."""

    kind: Literal["complaint"] = "complaint"
    why: str


class Gone(_Line):
    """The run is over, or could not begin; the process tries again by itself."""

    kind: Literal["gone"] = "gone"
    why: str


class Ended(_Line):
    """The source came to its end and will not be opened again."""

    kind: Literal["ended"] = "ended"
    why: str


class Impossible(_Line):
    """This camera cannot be captured with this configuration."""

    kind: Literal["impossible"] = "impossible"
    what: Literal["ConfigError", "StoreTooSmall"]
    why: str


Report = (
    Opening | Opened | Captured | Counted | Blind | Seeing | Complaint | Gone | Ended | Impossible
)
_REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="kind")])


def read(line: bytes) -> Report:
    """Read a report.

    Raises:
        ValueError: The line is none.
    """
    return _REPORT.validate_json(line)
