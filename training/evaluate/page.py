"""The parts that a report is made of. No files, no numbers of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure that is to be seen first."""

    name: str
    value: str
    detail: str = ""
    """Its counts."""
    good: bool | None = None
    """Whether it keeps the design's target; None: there is none."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    marked: int | None = None
    """The row that is in force."""
    folded: bool = False
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts of truth (rows) and what was said (columns)."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int], Sequence[int]]]
    """Truth, counts of labels, counts of outcomes."""
    outcomes: Sequence[str]
    note: str = ""
    kind: Literal["matrix"] = "matrix"


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing."""

    title: str
    svg: str
    note: str = ""
    kind: Literal["plot"] = "plot"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture with what there is to say about it."""

    uri: str
    """`data:`; empty: there is no picture."""
    caption: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Small pictures."""

    title: str
    thumbnails: Sequence[Thumbnail]
    note: str = ""
    empty: str = "None."
    kind: Literal["gallery"] = "gallery"


Block = Table | Matrix | Plot | Gallery


@dataclass(slots=True)
class Page:
    """A whole report."""

    title: str
    subtitle: str
    warnings: list[str] = field(default_factory=list)
    tiles: list[Tile] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    """How it was played."""
