"""How numbers are written: never a share without its counts. Pure."""

from collections.abc import Sequence

from training.evaluate.run import Run
from training.evaluate.statistics import Share

NOTHING = "\N{EN DASH}"
MODES = {
    "fast": "as fast as no frame is lost",
    "realtime": "in real time",
    "photographs": "photographs, each looked at by itself",
    "images": "labelled pictures, classifier alone",
}


def percent(value: float | None) -> str:
    """Return a share in percent."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def counts(share: Share) -> str:
    """Return the counts of a share."""
    return f"{share.part} of {share.whole}"


def bounds(share: Share) -> str:
    """Return the counts of a share and where the true one may lie."""
    found = share.bounds
    if found is None:
        return "nothing to count"
    return f"{counts(share)}; 95 %: {100 * found[0]:.1f} to {100 * found[1]:.1f}"


def number(value: float | None, unit: str = "", digits: int = 2) -> str:
    """Return a number with its unit."""
    return NOTHING if value is None else f"{value:.{digits}f}{unit}"


def span(seconds: float) -> str:
    """Return a length of time."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def facts(run: Run) -> list[tuple[str, str]]:
    """Return how a run was played."""
    started, finished = run.started, run.finished
    rule = started.alerts
    confirm = rule.confirm_score
    said = (
        ", ".join(f"{label} {score:g}" for label, score in confirm.items())
        if isinstance(confirm, dict)
        else f"{confirm:g}"
    )
    lost = finished.lost if finished else {}
    found = [
        ("played", MODES[started.mode]),
        ("at the same time", str(started.parallel)),
        ("alert labels", ", ".join(rule.labels)),
        ("rule", f"{rule.k} of {rule.n} looks within {rule.within_s:g} s"),
        ("confirm_score, reject_score", f"{said}, {rule.reject_score:g}"),
        ("detector", f"{started.detector}, min_score {started.min_score:g}"),
        ("its operating point", f"{started.operating_point:g}"),
        ("classifier", started.classifier),
        (
            "cooldown, end",
            f"{rule.cooldown_s:g} s, {rule.end_after_s:g} s without a confirmed look",
        ),
        ("when", started.at),
        ("how long it took", span(finished.seconds) if finished else "ended early"),
        ("lost on the way", losses(lost)),
        ("machine", started.machine),
        ("Second Look", started.version),
    ]
    if started.mode == "images":
        about_frames = {"detector", "its operating point", "rule", "cooldown, end"}
        return [(name, value) for name, value in found if name not in about_frames]
    return found


def many(count: int, word: str) -> str:
    """Return how many there are, with the word for them."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def losses(lost: dict[str, int]) -> str:
    """Return what was lost, in words."""
    return ", ".join(f"{count} {cause}" for cause, count in sorted(lost.items())) or "nothing"


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first names of a list, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
