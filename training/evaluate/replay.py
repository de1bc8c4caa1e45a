"""What the rule would have raised under other thresholds, from looks that were recorded.

The rule is the classifier service's own, not a copy. What a replay cannot know: with another
detector threshold the tracks would have been others at times, and other frames would have
been looked at.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from classifier_svc import looks as rule_looks
from classifier_svc.episodes import Changed
from classifier_svc.judge import Judge
from classifier_svc.verdict import judge
from secondlook.config import Alerts, slug
from secondlook.messages import Classified, Crop, Outcome, Seen, TrackEnded, Verdict
from secondlook.model_spec import ModelParameters
from training.evaluate.matching import Alarm
from training.evaluate.run import SECOND, Arrived, Clip

FIND = "find"
"""The one label of a single stage."""
RELOOKS_ALIVE = 3
"""As in the classifier service: a track without so many looks is not in view any more."""
SEEN_EVERY_NS = SECOND
"""As often as the detector says it outside of evaluations."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The thresholds of a replay."""

    rule: Alerts
    min_score: float = 0.0
    """Finds of the detector below this are left out."""
    one_stage: bool = False
    """Every find of the detector counts as confirmed: no second look."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A clip's recorded evidence, ready to be replayed often."""

    camera: str
    said: tuple[rule_looks.Look | TrackEnded | Seen, ...]
    fps: float
    alive_s: float


def prepare(clip: Clip, relook_s: float) -> Evidence:
    """Return what the detector and the classifier said of a clip, in order."""
    said: list[rule_looks.Look | TrackEnded | Seen] = []
    seen_ns = -SEEN_EVERY_NS
    for message in clip.said:
        if isinstance(message, Crop):
            verdict = clip.verdicts.get(message.id)
            if verdict is not None:
                said.append(_look(message, verdict))
        elif isinstance(message, TrackEnded) or message.media_ns - seen_ns >= SEEN_EVERY_NS:
            seen_ns = message.media_ns if isinstance(message, Seen) else seen_ns
            said.append(message)
    return Evidence(clip.played.camera, tuple(said), clip.played.fps, RELOOKS_ALIVE * relook_s)


def _look(crop: Crop, verdict: Verdict) -> rule_looks.Look:
    return rule_looks.Look(
        id=crop.id,
        track=crop.track,
        frame=crop.frame,
        box=crop.box,
        detector=crop.detector,
        classifier=verdict.classifier,
        outcome=verdict.outcome,
        label=slug(verdict.label),
        score=verdict.score,
        latency=verdict.latency_ms,
    )


def replay(evidence: Evidence, setting: Setting, parameters: ModelParameters) -> list[Alarm]:
    """Return the `new` alerts that a clip's looks would have raised, in order.

    Args:
        evidence: Of the clip.
        setting: The thresholds.
        parameters: The classifier's, for its fallback label.
    """
    rule = setting.rule
    if setting.one_stage:
        rule = rule.model_copy(update={"labels": [FIND], "confirm_score": 0.0})
    ids = count()
    ours = Judge(
        evidence.camera,
        rule,
        entropy=lambda: next(ids).to_bytes(10, "big"),
        gap_s=max(3.0, 3 / evidence.fps) + 2.0,
        alive_s=evidence.alive_s,
    )
    alarms: list[Alarm] = []
    for said in evidence.said:
        if isinstance(said, Seen):
            ours.seen(said)
        elif isinstance(said, TrackEnded):
            ours.track_ended(said)
        elif said.detector.score >= setting.min_score:
            alarms += _raised(ours.look(_judged(said, setting, rule, parameters)))
    return alarms


def openings(evidence: Evidence, setting: Setting, parameters: ModelParameters) -> list[Alarm]:
    """Return every moment at which a track of its own satisfies the rule.

    A replay merges what is in one place, and of a single stage everything has one label: a gun
    where a phone was is then no `new` alert, although the detector did find it. Whether
    something was found at all is asked here.
    """
    rule = setting.rule
    if setting.one_stage:
        rule = rule.model_copy(update={"labels": [FIND], "confirm_score": 0.0})
    tracks: dict[str, list[rule_looks.Look]] = {}
    alarms: list[Alarm] = []
    for said in evidence.said:
        if not isinstance(said, rule_looks.Look) or said.detector.score < setting.min_score:
            continue
        look = _judged(said, setting, rule, parameters)
        looks = tracks.setdefault(look.track, [])
        looks.append(look)
        if rule_looks.opening(looks, len(looks) - 1, rule) is not None:
            at_s = look.frame.media_ns / SECOND
            alarms.append(Alarm(look.id, look.label, at_s, at_s, look.box))
    return alarms


def _judged(
    look: rule_looks.Look, setting: Setting, rule: Alerts, parameters: ModelParameters
) -> rule_looks.Look:
    """Return a look as these thresholds judge it."""
    outcome: Outcome
    if setting.one_stage:
        outcome, label, score = "confirmed", FIND, look.detector.score
    else:
        again = judge(_scores(look.classifier), rule, parameters)
        outcome, label, score = again.outcome, slug(again.label), again.score
    return look.model_copy(update={"outcome": outcome, "label": label, "score": score})


def _scores(classified: Classified | None) -> dict[str, float] | None:
    return classified.scores if classified is not None else None


def _raised(effects: Iterable[object]) -> list[Alarm]:
    return [
        Alarm(
            id=effect.episode.id,
            label=effect.episode.label,
            at_s=effect.episode.shown.frame.media_ns / SECOND,
            decided_s=effect.episode.opened.media_ns / SECOND,
            box=effect.episode.shown.box,
        )
        for effect in effects
        if isinstance(effect, Changed) and effect.event == "new"
    ]


def arrived(clip: Clip, replayed: Sequence[Alarm]) -> list[Alarm]:
    """Return the `new` alerts that a subscriber got, in the order they came.

    Args:
        clip: Of the recorded run.
        replayed: The same thresholds replayed: they know which look decided.
    """
    decided = {(alarm.label, alarm.at_s, alarm.box): alarm.decided_s for alarm in replayed}
    return [
        replace(alarm, decided_s=decided.get((alarm.label, alarm.at_s, alarm.box), alarm.at_s))
        for alarm in _alarms(clip, clip.arrived)
    ]


def reopened(clip: Clip) -> list[Alarm]:
    """Return the updates that told a subscriber of an ended episode that goes on."""
    return _alarms(clip, clip.reopened)


def _alarms(clip: Clip, said: Sequence[Arrived]) -> list[Alarm]:
    alarms = []
    for each in said:
        at_s = clip.clip_s(each.alert.frame.id)
        if at_s is None:  # its announcement was lost, its crop was not
            shown = (look.at_s for look in clip.looks if look.crop.frame.id == each.alert.frame.id)
            at_s = next(shown, 0.0)
        alert = each.alert
        alarms.append(Alarm(alert.id, alert.label, at_s, at_s, alert.box, each.received_ns))
    return alarms


def same(left: Sequence[Alarm], right: Sequence[Alarm]) -> bool:
    """Tell whether two lists are the same alerts, apart from their ids."""
    first, second = ([(a.label, a.at_s) for a in alarms] for alarms in (left, right))
    return sorted(first) == sorted(second)
