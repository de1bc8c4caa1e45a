"""What a run of clips amounts to: every figure of the report, with its counts. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from secondlook.config import Alerts, slug
from secondlook.evaluation.record import Started
from training.evaluate.matching import Alarm, Matched, Outcome, Shown, Things, match
from training.evaluate.replay import (
    Evidence,
    Setting,
    arrived,
    openings,
    prepare,
    reopened,
    replay,
    same,
)
from training.evaluate.run import SECOND, Clip, Look, Run
from training.evaluate.statistics import Share, quantile

HOUR_S = 3600
Figures = dict[str, float | int | None]
"""By name; None: there was nothing to count."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A look and what it really showed."""

    clip: Clip
    look: Look
    shown: Shown
    alert_score: float
    """The best score among the labels that alert."""
    should_alert: bool

    @property
    def confirmed(self) -> bool:
        """Whether the second look let it through."""
        return self.look.verdict.outcome == "confirmed"


@dataclass(frozen=True, slots=True)
class Told:
    """A true episode of a clip with what it got."""

    clip: Clip
    outcome: Outcome
    delay_s: float | None
    """From its start until the alert had arrived; None in anything but real time."""
    reopened: bool = False
    """Whether an ended episode in its place was opened again, as within the cooldown."""

    @property
    def found(self) -> bool:
        """Whether a subscriber was told: by a `new` alert, or by an episode opened again."""
        return self.reopened or bool(self.outcome.alarms)

    @property
    def decision_s(self) -> float | None:
        """From its start to the frame that decided, in the clip's time."""
        alarms = self.outcome.alarms
        return alarms[0].decided_s - self.outcome.episode.start_s if alarms else None


@dataclass(slots=True)
class Material:
    """One clip, prepared."""

    clip: Clip
    things: Things
    evidence: Evidence
    alarms: list[Alarm]
    matched: Matched


@dataclass(slots=True)
class Measures:
    """Everything counted."""

    run: Run
    materials: list[Material]
    told: list[Told]
    seen: list[Seen]
    unclear: int
    """Looks of which nobody knows what they show."""
    one_stage: list[Matched]
    """For each clip, what the detector alone would have raised."""
    replay_agrees: Share
    """Clips in which a replay of the thresholds in force raises what arrived."""
    labels: tuple[str, ...] = field(default=())
    """The classifier's, as slugs."""

    @property
    def hours(self) -> float:
        """How much was played, in the clips' own time."""
        return sum(m.clip.seconds for m in self.materials) / HOUR_S

    @property
    def false_alarms(self) -> list[tuple[Clip, Alarm]]:
        """Alerts about nothing that should alert."""
        return [(m.clip, alarm) for m in self.materials for alarm in m.matched.false]


def measure(run: Run) -> Measures:
    """Count everything in a run of clips or photographs."""
    labels = tuple(slug(label) for label in run.started.parameters.labels or ())
    rule, parameters = run.started.alerts, run.started.parameters
    played = Setting(rule)
    materials, told, one_stage, agree = [], [], [], 0
    for clip in run.clips.values():
        things, evidence = Things(clip.truth), prepare(clip, run.started.relook_s)
        again = replay(evidence, played, parameters)
        alarms = arrived(clip, again)
        agree += same(alarms, again)
        matched = match(things, alarms, rule.labels)
        materials.append(Material(clip, things, evidence, alarms, matched))
        back = {o.thing for o in match(things, reopened(clip), rule.labels).outcomes if o.alarms}
        told += [
            replace(_told(clip, outcome, run.started), reopened=outcome.thing in back)
            for outcome in matched.outcomes
        ]
        one_stage.append(alone(things, evidence, replace(played, one_stage=True), run.started))
    everything = [seen for m in materials for seen in _seen(m, rule)]
    clear = [seen for seen in everything if seen.shown.label is not None]
    return Measures(
        run=run,
        materials=materials,
        told=told,
        seen=clear,
        unclear=len(everything) - len(clear),
        one_stage=one_stage,
        replay_agrees=Share(agree, len(materials)),
        labels=labels,
    )


def alone(things: Things, evidence: Evidence, setting: Setting, started: Started) -> Matched:
    """Return what the detector alone would have found, and its false alarms.

    Found is what any track satisfies the rule for; false alarms are counted after tracks in
    one place have been merged, as the rule does. Both are in favour of the single stage.
    """
    labels, parameters = setting.rule.labels, started.parameters
    found = match(things, openings(evidence, setting, parameters), labels, blind=True)
    raised = match(things, replay(evidence, setting, parameters), labels, blind=True)
    return replace(found, false=raised.false)


def _told(clip: Clip, outcome: Outcome, started: Started) -> Told:
    delay_s = None
    if started.mode == "realtime" and outcome.alarms:
        came_ns = outcome.alarms[0].came_ns
        begin_ns = round((outcome.episode.start_s - 0.5 / clip.truth.fps) * SECOND)
        first = next((f for f in clip.frames if f.media_ns >= begin_ns), None)
        if first is not None and came_ns is not None:
            # From the frame that was captured when the episode began, on the clock of the wall.
            delay_s = (came_ns - first.captured_ns) / SECOND
    return Told(clip, outcome, delay_s)


def _seen(material: Material, rule: Alerts) -> list[Seen]:
    found = []
    for look in material.clip.looks:
        shown = material.things.shown(look.at_s, look.crop.box)
        scores = {slug(k): v for k, v in look.verdict.classifier.scores.items()}
        best = max((scores.get(label, 0.0) for label in rule.labels), default=0.0)
        should = shown.label in rule.labels
        found.append(Seen(material.clip, look, shown, best, should))
    return found


def figures(measures: Measures) -> Figures:
    """Return the figures that a limit may be set for, by name."""
    told, hours = measures.told, measures.hours
    found = [t for t in told if t.found]
    alerted = [t for t in told if t.outcome.alarms or t.outcome.mislabelled]
    new = sum(len(t.outcome.alarms) + len(t.outcome.mislabelled) for t in alerted)
    delays = [t.delay_s for t in found if t.delay_s is not None]
    decisions = [t.decision_s for t in found if t.decision_s is not None]
    removed, confirmed, lost = removal(measures), kept(measures), losses(measures)
    false = len(measures.false_alarms)
    one_false = sum(len(matched.false) for matched in measures.one_stage)
    return {
        "episodes": len(told),
        "found": len(found),
        "missed": len(told) - len(found),
        "found_by_reopening": sum(not t.outcome.alarms for t in found),
        "recall": Share(len(found), len(told)).value,
        "mislabelled": sum(len(t.outcome.mislabelled) for t in told),
        "hours": hours,
        "false_alarms": false,
        "false_alarms_per_hour": false / hours if hours else None,
        "new_per_episode": new / len(alerted) if alerted else None,
        "delay_p50_s": quantile(delays, 0.5),
        "delay_p95_s": quantile(delays, 0.95),
        "decision_p50_s": quantile(decisions, 0.5),
        "decision_p95_s": quantile(decisions, 0.95),
        "crops": len(measures.seen) + measures.unclear,
        **_verdicts(measures),
        "false_crops": removed.whole,
        "false_crops_removed": removed.value,
        "true_crops": confirmed.whole,
        "true_crops_confirmed": confirmed.value,
        "one_stage_found": lost.whole,
        "episodes_lost_to_the_second_look": lost.part,
        "episodes_lost_share": lost.value,
        "one_stage_false_alarms": one_false,
        "one_stage_false_alarms_per_hour": one_false / hours if hours else None,
        "frames": frames(measures).whole,
        "frames_lost": frames(measures).part,
    }


def _verdicts(measures: Measures) -> Figures:
    said = Counter(look.verdict.outcome for m in measures.materials for look in m.clip.looks)
    return {name: said[name] for name in ("confirmed", "rejected", "uncertain")}


def removal(measures: Measures) -> Share:
    """Return how many false crops the second look does not confirm."""
    false = [seen for seen in measures.seen if not seen.should_alert]
    return Share(sum(not seen.confirmed for seen in false), len(false))


def kept(measures: Measures) -> Share:
    """Return how many crops of what should alert the second look confirms."""
    true = [seen for seen in measures.seen if seen.should_alert]
    return Share(sum(seen.confirmed for seen in true), len(true))


def losses(measures: Measures) -> Share:
    """Return the true episodes that one stage finds and two do not, of those one finds."""
    two = {(t.clip.played.camera, t.outcome.thing) for t in measures.told if t.found}
    one = {
        (material.clip.played.camera, outcome.thing)
        for material, matched in zip(measures.materials, measures.one_stage, strict=True)
        for outcome in matched.outcomes
        if outcome.alarms
    }
    return Share(len(one - two), len(one))


def frames(measures: Measures) -> Share:
    """Return how many frames were never looked at, of those that were to be."""
    clips = [material.clip for material in measures.materials]
    announced = sum(len(clip.frames) for clip in clips)
    # The pace may fall one frame short of what a clip's length promises.
    unsent = sum(max(0, clip.played.expected - len(clip.frames) - 1) for clip in clips)
    if measures.run.started.mode == "realtime":
        # There the detector says once a second how far it has looked; the services count.
        lost = measures.run.finished.lost if measures.run.finished else {}
        by_detector = (count for cause, count in lost.items() if cause.startswith("detector: "))
        unseen = min(announced, sum(by_detector))
    else:
        unseen = announced - sum(len(clip.seen) for clip in clips)
    if not measures.run.complete:
        # Nobody knows how far it would have come, and a frame of each was on its way.
        unsent, unseen = 0, unseen - len(clips)
    return Share(unsent + max(0, unseen), announced + unsent)


def confusion(seen: Sequence[Seen]) -> dict[str, Counter[str]]:
    """Return for each truth how often each best label and each outcome was said."""
    table: dict[str, Counter[str]] = {}
    for each in seen:
        row = table.setdefault(str(each.shown.label), Counter())
        row[slug(each.look.verdict.label)] += 1
        row[f"={each.look.verdict.outcome}"] += 1
    return table
