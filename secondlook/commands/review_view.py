"""How kept crops look in the terminal: tables, lines, and the picture itself in coloured blocks."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import cv2
from rich.console import Console
from rich.table import Table
from rich.text import Text

from secondlook.review_set import Kept

MB = 1_000_000
COLUMNS = 56
"""Width of a picture in the terminal; a character holds two pixels, one above the other."""


def summary(kept: Sequence[Kept]) -> Table:
    """Return one row per label."""
    table = Table("label", "crops", "by a human", "MB", "newest", "cameras")
    by_label: dict[str, list[Kept]] = defaultdict(list)
    for each in kept:
        by_label[each.label].append(each)
    for label, crops in sorted(by_label.items()):
        cameras = sorted({each.note.camera for each in crops if each.note})
        table.add_row(
            label,
            str(len(crops)),
            str(sum(each.by_human for each in crops)),
            f"{sum(each.size for each in crops) / MB:.1f}",
            when(max(each.kept_ns for each in crops)),
            ", ".join(cameras),
        )
    return table


def when(kept_ns: int) -> str:
    """Return a Unix time as people here read it."""
    return f"{datetime.fromtimestamp(kept_ns / 1e9).astimezone():%Y-%m-%d %H:%M}"


def line(kept: Kept) -> Text:
    """Return a crop in one line."""
    note = kept.note
    if note is None:
        return Text.assemble((f"{kept.id}  ", "bold"), f"{kept.label}  put there by hand")
    said = f"{note.outcome} {note.label} {note.score:.2f}"
    return Text.assemble(
        (f"{kept.id}  ", "bold"),
        f"{kept.label:<12} ",
        (f"{said:<28} ", "yellow" if note.outcome == "uncertain" else ""),
        (f"by {note.labelled_by:<9} {when(kept.kept_ns)}", "dim"),
        (f"  {note.hint}" if note.hint else "", "cyan"),
    )


def as_json(kept: Kept, picture: Path) -> str:
    """Return a crop as one line of JSON: its label, its picture and its note."""
    note = json.loads(kept.note.encode()) if kept.note else None
    told = {"id": kept.id, "label": kept.label, "picture": str(picture), "note": note}
    return json.dumps(told, ensure_ascii=False)


def details(kept: Kept, picture: Path) -> list[Text]:
    """Return everything that is known of a crop, a line for each."""
    rows: dict[str, str | None] = {"id": kept.id, "picture": str(picture), "label": kept.label}
    note = kept.note
    if note is None:
        rows["labelled by"] = "hand: somebody put it there, and nothing else is known"
    else:
        scores = sorted(note.classifier.scores.items(), key=lambda each: -each[1])
        rows |= {
            "labelled by": note.labelled_by,
            "hint": note.hint,
            "captured": f"{note.captured_at.astimezone():%Y-%m-%d %H:%M:%S} by {note.camera}",
            "look": f"{note.outcome}: {note.reason}",
            "scores": ", ".join(f"{label} {score:.2f}" for label, score in scores[:5]),
            "classifier": f"{note.classifier.model} {note.classifier.version}",
            "detector": f"{note.detector.model} {note.detector.version}: "
            f"{note.detector.label} {note.detector.score:.2f}",
            "alert": f"{note.alert} ({note.alert_label})" if note.alert else None,
        }
    return [Text.assemble((f"{name:<13}", "dim"), value) for name, value in rows.items() if value]


def draw(console: Console, picture: Path) -> None:
    """Draw a picture with coloured half blocks, where the terminal has the colours for it."""
    if not console.is_terminal or console.color_system not in ("truecolor", "256"):
        return
    image = cv2.imread(str(picture))
    if image is None:
        return
    height, width = image.shape[:2]
    rows = max(2, min(round(height / width * COLUMNS / 2), 30)) * 2
    small = cv2.resize(image, (COLUMNS, rows), interpolation=cv2.INTER_AREA)[..., ::-1].tolist()
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        pixels = [
            ("▀", "rgb({},{},{}) on rgb({},{},{})".format(*above, *below))
            for above, below in zip(upper, lower, strict=True)
        ]
        console.print(Text.assemble(*pixels))
