"""The report about clips: figures against the design's targets, curves, the worst mistakes."""

from pathlib import Path

from training.evaluate import plots
from training.evaluate.matching import BACKGROUND
from training.evaluate.measures import (
    Figures,
    Measures,
    Told,
    confusion,
    figures,
    kept,
    losses,
    removal,
)
from training.evaluate.mistakes import MOST_SHOWN, mistakes
from training.evaluate.page import Block, Matrix, Page, Plot, Table, Tile
from training.evaluate.run import Clip
from training.evaluate.statistics import Share, precision_recall, quantile
from training.evaluate.sweeps import Point, by_confirm_score, by_detector_score, by_rule, in_force
from training.evaluate.targets import targets, warnings
from training.evaluate.words import counts, facts, many, number, percent, span

OUTCOMES = ("confirmed", "rejected", "uncertain")


class Sweeps:
    """Every replay of a report, made once."""

    def __init__(self, measures: Measures) -> None:
        self.two = by_detector_score(measures, one_stage=False)
        self.one = by_detector_score(measures, one_stage=True)
        self.confirm = by_confirm_score(measures)
        self.rule = by_rule(measures)


def page(measures: Measures, sweeps: Sweeps, folder: Path) -> Page:
    """Return the report of a run of clips.

    Args:
        measures: Of the run.
        sweeps: Its replays.
        folder: With the record and its crops.
    """
    found = figures(measures)
    run = measures.run
    clips = len(measures.materials)
    return Page(
        title="Second Look: evaluation",
        subtitle=f"{many(clips, 'clip')}, {span(measures.hours * 3600)}, "
        f"{many(len(measures.told), 'true episode')} that should alert, "
        f"{many(int(found['crops'] or 0), 'crop')}",
        warnings=warnings(measures),
        tiles=tiles(measures, found),
        blocks=[
            *_figures(measures, found),
            *_curves(measures, sweeps),
            _matrix(measures),
            *mistakes(measures, folder),
            *_tables(measures, sweeps),
        ],
        facts=[
            *facts(run),
            ("replay agrees with what arrived", counts(measures.replay_agrees) + " clips"),
        ],
    )


def tiles(measures: Measures, found: Figures) -> list[Tile]:
    """Return the figures to be seen first."""
    wanted = [
        Tile(name, value, detail, good) for name, _, value, detail, good in targets(measures, found)
    ]
    false = Tile(
        "False alarms per hour",
        number(found["false_alarms_per_hour"]),
        f"{found['false_alarms']} in {span(measures.hours * 3600)}",
        None if found["false_alarms"] else True,
    )
    return [wanted[0], false, *wanted[1:]]


def _figures(measures: Measures, found: Figures) -> list[Block]:
    marks = {True: "met", False: "missed", None: "not known"}
    rows = [(n, t, v, c, marks[good]) for n, t, v, c, good in targets(measures, found)]
    two = Share(int(found["found"] or 0), int(found["episodes"] or 0))
    one = Share(losses(measures).whole, two.whole)
    removed, confirmed = removal(measures), kept(measures)
    let_through = Share(removed.whole - removed.part, removed.whole)
    stages = [
        (
            "episodes found",
            f"{percent(one.value)} ({counts(one)})",
            f"{percent(two.value)} ({counts(two)})",
        ),
        ("false alarms", str(found["one_stage_false_alarms"]), str(found["false_alarms"])),
        (
            "false alarms per hour",
            number(found["one_stage_false_alarms_per_hour"]),
            number(found["false_alarms_per_hour"]),
        ),
        (
            "false crops that count",
            f"{removed.whole}",
            f"{let_through.part} ({percent(let_through.value)})",
        ),
        (
            "true crops that count",
            f"{confirmed.whole}",
            f"{confirmed.part} ({percent(confirmed.value)})",
        ),
    ]
    return [
        Table("Against the targets", ("figure", "target", "measured", "counts", ""), rows),
        Table(
            "One stage against two",
            ("", "detector alone", "with the second look"),
            stages,
            note="Detector alone: the same rule, if every crop counted as confirmed. A false crop "
            "is one that shows no alert label. For the detector alone, an episode counts as found "
            "by any track, and false alarms are counted after tracks in one place are merged: both "
            "in its favour.",
        ),
    ]  # fmt: skip


def _curves(measures: Measures, sweeps: Sweeps) -> list[Block]:
    started = measures.run.started
    confirm = min(started.alerts.score_needed(label) for label in started.alerts.labels)
    curve = precision_recall([(seen.alert_score, seen.should_alert) for seen in measures.seen])
    point = max(started.min_score, started.operating_point)
    lines = {"two stages": sweeps.two, "detector alone": sweeps.one}
    blocks: list[Block] = [
        Plot(
            "The detector's threshold",
            plots.sweep_plot(lines, "min_score", point, "detector"),
            "Replayed from recorded looks; dashed: the operating point.",
        ),
        Plot(
            "The classifier's threshold",
            plots.sweep_plot({"two stages": sweeps.confirm}, "confirm_score", confirm, "confirm"),
            "Replayed from recorded looks; dashed: in force.",
        ),
    ]
    if curve:
        blocks.append(
            Plot(
                "Precision and recall of single looks",
                plots.precision_recall_plot(curve, confirm, "looks"),
                "Does a crop show what should alert? By the best score of an alert label.",
            )
        )
    return [*blocks, *_delays(measures)]


def _delays(measures: Measures) -> list[Block]:
    real = [t.delay_s for t in measures.told if t.delay_s is not None]
    frames_only = [t.decision_s for t in measures.told if t.decision_s is not None]
    values = real or frames_only
    if not values:
        return []
    marks = {name: quantile(values, part) or 0.0 for name, part in (("p50", 0.5), ("p95", 0.95))}
    note = (
        "From the first frame of the episode as the truth has it until the alert was in a "
        "subscriber's hands."
        if real
        else "In the clip's own time, from the episode's first frame to the frame that decided: "
        "not played in real time, so what the machine takes on top is not in it."
    )
    title = "Alarm delay" if real else "Frames until the decision"
    return [Plot(title, plots.histogram(values, marks, "seconds", "delay"), note)]


def _matrix(measures: Measures) -> Matrix:
    table = confusion(measures.seen)
    alert = measures.run.started.alerts.labels
    order = sorted(table, key=lambda label: (label not in alert, label == BACKGROUND, label))
    rows = [
        (
            label,
            [table[label][each] for each in measures.labels],
            [table[label][f"={each}"] for each in OUTCOMES],
        )
        for label in order
    ]
    return Matrix(
        "What crops show, and what the classifier said",
        measures.labels,
        rows,
        OUTCOMES,
        f"One row per truth; {BACKGROUND}: nothing that anybody held up, a false find.",
    )


def _tables(measures: Measures, sweeps: Sweeps) -> list[Block]:
    started = measures.run.started
    point = max(started.min_score, started.operating_point)
    now = in_force(sweeps.two, point)
    sweep = [
        (
            f"{two.min_score:g}",
            str(two.crops),
            str(two.found),
            _rate(two),
            str(one.found),
            _rate(one),
        )
        for two, one in zip(sweeps.two, sweeps.one, strict=True)
    ]
    head = (
        "min_score",
        "crops",
        "two stages found",
        "false alarms",
        "detector found",
        "false alarms",
    )
    rules = [(f"{p.k} of {p.n}", str(p.found), _rate(p)) for p in sweeps.rule]
    ours = (started.alerts.k, started.alerts.n)
    current = next((i for i, p in enumerate(sweeps.rule) if (p.k, p.n) == ours), None)
    return [
        Table("The detector's threshold, in numbers", head, sweep,
              marked=sweeps.two.index(now) if now else None, folded=True),
        Table("Other rules: k of n looks", ("rule", "episodes found", "false alarms"), rules,
              marked=current),
        Table("Clips", ("clip", "length", "frames", "crops", "episodes found", "false alarms"),
              [_clip_row(measures, m.clip) for m in measures.materials],
              folded=len(measures.materials) > MOST_SHOWN),
        Table("True episodes that should alert",
              ("clip", "label", "from", "to", "alert", "delay"),
              [_episode_row(told) for told in measures.told], folded=True),
    ]  # fmt: skip


def _rate(point: Point) -> str:
    return f"{point.false_alarms} ({number(point.per_hour, ' per hour', 1)})"


def _clip_row(measures: Measures, clip: Clip) -> tuple[str, ...]:
    told = [t for t in measures.told if t.clip is clip]
    found = Share(sum(t.found for t in told), len(told))
    false = sum(c is clip for c, _ in measures.false_alarms)
    return (
        Path(clip.played.path).name,
        span(clip.seconds),
        str(len(clip.frames)),
        str(len(clip.crops)),
        counts(found),
        str(false),
    )


def _episode_row(told: Told) -> tuple[str, ...]:
    outcome, delay = told.outcome, told.delay_s
    alert = "yes" if outcome.alarms else "mislabelled" if outcome.mislabelled else "missing"
    if told.reopened and not outcome.alarms:
        alert = "opened again"
    if len(outcome.alarms) > 1:
        alert = f"{len(outcome.alarms)} times"
    return (
        Path(told.clip.played.path).name,
        outcome.episode.label,
        f"{outcome.episode.start_s:.1f} s",
        f"{outcome.episode.end_s:.1f} s",
        alert,
        number(told.decision_s if delay is None else delay, " s"),
    )
