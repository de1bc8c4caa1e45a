"""The reports about pictures: photographs in which nothing may alert, and labelled crops."""

from pathlib import Path

from training.evaluate import labelled, plots, thumbnails
from training.evaluate.clips_page import OUTCOMES
from training.evaluate.labelled import Picture
from training.evaluate.measures import Figures, Measures, Seen, confusion, removal
from training.evaluate.mistakes import MOST_SHOWN, false_crop
from training.evaluate.page import Block, Gallery, Matrix, Page, Plot, Table, Thumbnail, Tile
from training.evaluate.run import Run
from training.evaluate.statistics import Share, calibration, precision_recall
from training.evaluate.sweeps import DETECTOR_SCORES
from training.evaluate.words import bounds, counts, facts, number, percent


def photograph_figures(measures: Measures) -> Figures:
    """Return the figures of photographs that a limit may be set for, by name."""
    shown = sum(len(m.clip.frames) for m in measures.materials)
    false, removed = measures.seen, removal(measures)
    confirmed = removed.whole - removed.part
    return {
        "photographs": shown,
        "false_crops": len(false),
        "false_crops_per_100": 100 * len(false) / shown if shown else None,
        "false_crops_confirmed": confirmed,
        "false_crops_confirmed_per_100": 100 * confirmed / shown if shown else None,
        "false_crops_removed": removed.value,
        "photographs_not_looked_at": sum(m.clip.played.expected for m in measures.materials)
        - shown,
    }


def photographs(measures: Measures, folder: Path) -> Page:
    """Return the report of photographs in which nothing may alert."""
    found, removed = photograph_figures(measures), removal(measures)
    shown = int(found["photographs"] or 0)
    started = measures.run.started
    worst = sorted(measures.seen, key=lambda seen: -seen.alert_score)[:MOST_SHOWN]
    warnings = [] if measures.run.complete else ["Ended early: about what was shown until then."]
    if found["photographs_not_looked_at"]:
        warnings.append(f"{found['photographs_not_looked_at']} pictures could not be looked at.")
    return Page(
        title="Second Look: photographs",
        subtitle=f"{shown} photographs in which nothing may alert, looked at with min_score "
        f"{started.min_score:g} (operating point {started.operating_point:g})",
        warnings=warnings,
        tiles=[
            Tile("False crops per 100 pictures", number(found["false_crops_per_100"], digits=1),
                 f"{found['false_crops']} in {shown}, detector alone"),
            Tile("After the second look, per 100",
                 number(found["false_crops_confirmed_per_100"], digits=1),
                 f"{found['false_crops_confirmed']} confirmed"),
            Tile("Removed by the second look", percent(removed.value), bounds(removed)),
        ],
        blocks=[
            _by_score(measures, shown),
            _said(measures),
            Gallery("Crops that look most like an alert",
                    [false_crop(seen, folder) for seen in worst],
                    f"The first {len(worst)} of {len(measures.seen)}."),
        ],
        facts=facts(measures.run),
    )  # fmt: skip


def _by_score(measures: Measures, shown: int) -> Table:
    started = measures.run.started
    scores = sorted(
        {started.min_score, started.operating_point}
        | {score for score in DETECTOR_SCORES if score > started.min_score}
    )

    def row(score: float) -> tuple[str, ...]:
        ours: list[Seen] = [s for s in measures.seen if s.look.crop.detector.score >= score]
        kept = Share(sum(not seen.confirmed for seen in ours), len(ours))
        per_100 = number(100 * len(ours) / shown if shown else None, digits=1)
        return (
            f"{score:g}",
            str(len(ours)),
            per_100,
            str(kept.whole - kept.part),
            percent(kept.value),
        )

    at = [score for score in scores if score >= started.min_score]
    return Table(
        "By the detector's threshold",
        ("min_score", "false crops", "per 100", "confirmed", "removed"),
        [row(score) for score in at],
        marked=at.index(started.operating_point) if started.operating_point in at else None,
    )


def _said(measures: Measures) -> Matrix:
    table = confusion(measures.seen)
    rows = [
        (
            truth,
            [row[label] for label in measures.labels],
            [row[f"={each}"] for each in OUTCOMES],
        )
        for truth, row in table.items()
    ]
    return Matrix("What the classifier said of them", measures.labels, rows, OUTCOMES)


def images(run: Run) -> Page:
    """Return the report of labelled crops."""
    found, numbers = labelled.pictures(run), labelled.figures(run)
    alert = run.started.alerts.labels
    guns = [p for p in found if p.truth in alert]
    rest = [p for p in found if p.truth not in alert]
    right = Share(sum(p.right for p in found), len(found))
    confirmed = Share(sum(p.verdict.outcome == "confirmed" for p in guns), len(guns))
    removed = Share(sum(p.verdict.outcome != "confirmed" for p in rest), len(rest))
    warnings = [] if run.complete else ["Ended early: about what was judged until then."]
    if numbers["not_judged"]:
        warnings.append(f"{numbers['not_judged']} pictures got no verdict.")
    if unknown := labelled.unknown_labels(run):
        warnings.append(
            f"The classifier has no label {', '.join(unknown)}: it cannot be right there."
        )
    return Page(
        title="Second Look: the classifier on labelled pictures",
        subtitle=f"{len(found)} pictures with {len({p.truth for p in found})} labels",
        warnings=warnings,
        tiles=[
            Tile("Right label", percent(right.value), bounds(right)),
            Tile("Alert pictures confirmed", percent(confirmed.value), bounds(confirmed)),
            Tile("Others removed", percent(removed.value), bounds(removed)),
            Tile(
                "Average precision", number(numbers["average_precision"], digits=3), "alert or not"
            ),
            Tile(
                "Calibration error", number(numbers["calibration_error"], digits=3), "0 is perfect"
            ),
        ],
        blocks=_image_blocks(run, found),
        facts=facts(run),
    )


def _image_blocks(run: Run, found: list[Picture]) -> list[Block]:
    rule = run.started.alerts
    confirm = min(rule.score_needed(label) for label in rule.labels)
    curve = precision_recall([(p.alert_score, p.truth in rule.labels) for p in found])
    bins = calibration([(p.score, p.right) for p in found])
    table = labelled.confusion(found)
    labels = list(dict.fromkeys(label for p in found for label in p.verdict.classifier.scores))
    order = sorted(table, key=lambda label: (label not in rule.labels, label))
    rows = [
        (
            truth,
            [table[truth][label] for label in labels],
            [table[truth][f"={o}"] for o in OUTCOMES],
        )
        for truth in order
    ]
    wrong = sorted((p for p in found if not p.right), key=lambda p: -p.score)
    blocks: list[Block] = []
    if curve:
        plot = plots.precision_recall_plot(curve, confirm, "images")
        blocks.append(Plot("Precision and recall", plot, "By the best score of an alert label."))
    if bins:
        note = "Of pictures with such a score, how many got the right label; with their number."
        blocks.append(Plot("Calibration", plots.calibration_plot(bins, "calibration"), note))
    return [
        *blocks,
        Matrix("Truth and best label", labels, rows, OUTCOMES),
        Table("By label", ("label", "pictures", "right"), [_label_row(t, found) for t in order]),
        Gallery(f"Wrong labels ({len(wrong)})", [_wrong(p) for p in wrong[: 2 * MOST_SHOWN]],
                "The surest first."),
    ]  # fmt: skip


def _label_row(truth: str, found: list[Picture]) -> tuple[str, ...]:
    ours = [p for p in found if p.truth == truth]
    right = Share(sum(p.right for p in ours), len(ours))
    return truth, str(len(ours)), f"{percent(right.value)} ({counts(right)})"


def _wrong(picture: Picture) -> Thumbnail:
    path = Path(picture.path)
    said = f"{picture.label} {picture.score:.2f}"
    return Thumbnail(thumbnails.of_file(path), said, f"is {picture.truth}; {path.name}")
