"""Which crops the review set keeps, under which label, and which go. No clock, no files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from secondlook.config import Review, slug
from secondlook.messages import Feedback, Outcome
from secondlook.review_set import ALERTS, UNSORTED, Kept, Note

DAY_NS = 86_400_000_000_000
MB = 1_000_000
_ROWS, _BITS_A_ROW = 8, 8


@dataclass(frozen=True, slots=True)
class Move:
    """A kept crop that belongs elsewhere, or of which more is known."""

    kept: Kept
    label: str
    note: Note


def difference_hash(image: NDArray[np.uint8]) -> int:
    """Return 64 bits that hardly change when a picture is scaled, lit or compressed otherwise.

    One bit for each two neighbours in a row of the picture shrunk to 9 x 8 grey pixels: whether
    the right one is brighter (Neal Krawetz, "Kind of Like That", hackerfactor.com, 2013).

    Args:
        image: (height, width, 3) uint8 BGR.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    tiny = cv2.resize(grey, (_BITS_A_ROW + 1, _ROWS), interpolation=cv2.INTER_AREA)
    brighter = tiny[:, 1:] > tiny[:, :-1]
    return int.from_bytes(np.packbits(brighter).tobytes(), "big")


def label_for(outcome: Outcome, label: str, rule: Review) -> str | None:
    """Return under which label a look is kept; None: it is not.

    A rejected look is proposed under the label that the model gave it. An uncertain one has no
    label until a human gives it one. One that was confirmed waits for feedback on its alert.

    Args:
        outcome: Of the look.
        label: Its best label, as it stands in topics.
        rule: `keep` is read.
    """
    match outcome:
        case "rejected":
            return label if "rejected" in rule.keep else None
        case "uncertain":
            return UNSORTED if "uncertain" in rule.keep else None
        case _ if "confirmed" in rule.keep:
            return label
        case _:
            return ALERTS if "corrected" in rule.keep else None


def is_known(note: Note, label: str, kept: Iterable[Kept], min_distance: int) -> bool:
    """Tell whether a crop looks like one that is kept already.

    It is compared with those under its label and with all that a human has labelled: what was
    put right once is not proposed wrongly again. A confirmed one is compared within its alert
    alone (its track, before that has one), for feedback on the alert must find it.
    """
    hash_ = int(note.difference_hash, 16)
    for each in kept:
        if each.id == note.id:
            return True
        if each.note is None or each.hash is None:
            continue
        # The cheapest first: there may be thousands.
        if (each.hash ^ hash_).bit_count() >= min_distance:
            continue
        if note.outcome == "confirmed":
            rival = each.note.outcome == "confirmed" and _of_one_alert(each.note, note)
        else:
            rival = each.by_human or each.label == label
        if rival:
            return True
    return False


def _of_one_alert(one: Note, other: Note) -> bool:
    return one.track == other.track and (
        one.alert == other.alert or one.alert is None or other.alert is None
    )


def excess(kept: Sequence[Kept], rule: Review, now_ns: int) -> list[Kept]:
    """Return what must go: too old, or too many; the oldest first, a human's labels last.

    Args:
        kept: In any order.
        rule: `max_count`, `max_mb` and `days` are read.
        now_ns: Unix time.
    """
    oldest_ns = now_ns - round(rule.days * DAY_NS)
    going = [each for each in kept if each.kept_ns < oldest_ns and not each.by_human]
    old = {each.stem for each in going}
    count = len(kept) - len(going)
    size = sum(each.size for each in kept) - sum(each.size for each in going)
    if count <= rule.max_count and size <= rule.max_mb * MB:
        return going
    for each in sorted(kept, key=lambda each: (each.by_human, each.kept_ns)):
        if each.stem in old:
            continue
        if count <= rule.max_count and size <= rule.max_mb * MB:
            break
        going.append(each)
        count, size = count - 1, size - each.size
    return going


def corrections(kept: Sequence[Kept], feedback: Feedback) -> list[Move]:
    """Return what feedback on an alert changes.

    The confirmed looks of the alert get the label that the human says. Without one, those of a
    false alarm are only known for what they are not, and stay unsorted. The other looks of a
    true alarm are unsorted too: the model's label for them is in doubt now. What was labelled
    crop by crop, with `secondlook review`, stays.
    """
    told = [each.note for each in kept if each.note and each.note.alert == feedback.id]
    tracks = {note.track for note in told}
    ours = [(each, each.note) for each in kept if each.note and each.note.track in tracks]
    alerted = next((note.alert_label for note in told if note.alert_label), None)
    moves = []
    for each, note in ours:
        if note.labelled_by == "review" or _alert_of(note, ours) != feedback.id:
            continue
        move = _corrected(each, note, feedback, alerted or note.label)
        if move and (move.label, move.note) != (each.label, note):
            moves.append(move)
    return moves


def _alert_of(note: Note, others: Sequence[tuple[Kept, Note]]) -> str | None:
    """Return the alert of a look; one that was confirmed before it belongs to it too."""
    if note.alert or note.outcome != "confirmed":
        return note.alert
    later = [
        other
        for _, other in others
        if other.alert and other.track == note.track and other.captured_at >= note.captured_at
    ]
    return min(later, key=lambda other: other.captured_at).alert if later else None


def _corrected(kept: Kept, note: Note, feedback: Feedback, alerted: str) -> Move | None:
    known = {slug(label) for label in note.classifier.scores}
    said, is_true = feedback.label, feedback.truth == "true_alarm"
    if note.outcome != "confirmed":
        if not is_true or note.labelled_by != "model":
            return None
        hint = f"of a true alarm: {said or alerted}"
        return Move(kept, UNSORTED, note.model_copy(update={"hint": hint}))
    label, hint = said or alerted, ""
    if not is_true and label == alerted:
        label, hint = UNSORTED, f"not {alerted}"
    elif label not in known:
        # A label that the model does not know would be a new class, made by a slip.
        label, hint = UNSORTED, f"said to be {label}"
    new = note.model_copy(update={"labelled_by": "feedback", "hint": hint or None})
    return Move(kept, label, new)
