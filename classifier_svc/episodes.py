"""How an episode opens, continues, changes and ends. Told the time; publishes nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ulid import ULID

from classifier_svc.looks import (
    SECOND,
    Instant,
    Look,
    best_of,
    decision_of,
    gathered,
    label_of,
)
from classifier_svc.memory import Episode, Memory, Track
from secondlook.config import Alerts
from secondlook.messages import Decision, EndReason, Reason

UNVERIFIED = "unverified"
SAME_PLACE = 0.3
"""Boxes that overlap by this much (intersection over union) are one place."""
BETTER_SCORE = 0.05
BETTER_AREA = 1.5
"""What makes a score or a picture clearly better than the one shown."""


@dataclass(frozen=True, slots=True)
class Changed:
    """An episode has something to say: one alert."""

    event: Literal["new", "update", "end"]
    episode: Episode
    """As it was at this moment; its `sequence` is the message's."""
    reason: Reason | None
    picture: bool
    """Whether `episode.shown` is to be drawn as a new snapshot."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens an episode."""

    window: Sequence[Look]
    trigger: Look
    """The look that came last."""
    label: str
    decision: Decision
    supersedes: str | None = None

    @property
    def shown(self) -> Look:
        """The look to show."""
        if self.label == UNVERIFIED:
            return max(self.window, key=lambda look: look.score)
        return best_of(self.window, self.label)

    @property
    def first(self) -> Look:
        """The look that it began with: the first confirmed one, where any is."""
        confirmed = [look for look in self.window if look.outcome == "confirmed"]
        return (confirmed or self.window)[0]


class Episodes:
    """The episodes of one camera.

    Args:
        camera: Its name.
        rule: The `alerts` section.
        memory: What is remembered of the camera.
        entropy: Returns 10 random bytes for a new alert id.
        alive_s: A track without a look for longer than this is not in view any more.
    """

    def __init__(
        self,
        camera: str,
        rule: Alerts,
        memory: Memory,
        entropy: Callable[[], bytes],
        alive_s: float,
    ) -> None:
        self.rule = rule
        self._camera = camera
        self._memory = memory
        self._entropy = entropy
        self._alive_ns = round(alive_s * SECOND)

    def open_verified(
        self, track: Track, window: list[Look], trigger: Look, supersedes: str | None = None
    ) -> list[Changed]:
        """Open or continue an episode by looks that satisfy the rule."""
        label = trigger.label if supersedes else label_of(window, self.rule)
        changes: list[Changed] = []
        waited = self._memory.open_episode(track)
        if waited is not None and waited.status == UNVERIFIED:
            changes.append(self.end(waited, "confirmed", trigger.frame.captured_ns))
            supersedes = waited.id
        decision = decision_of(window, self.rule)
        return changes + self.begin(track, Opening(window, trigger, label, decision, supersedes))

    def begin(self, track: Track, opening: Opening) -> list[Changed]:
        """Open an episode for a track, or let the track continue one."""
        known = self._continued(track, opening)
        if known is not None:
            return self._continue(known, track, opening)
        trigger, started_ns = opening.trigger, opening.first.frame.captured_ns
        ulid = ULID.from_bytes((started_ns // 1_000_000).to_bytes(6, "big") + self._entropy())
        episode = Episode(
            id=f"{self._camera}-{str(ulid).lower()}",
            label=opening.label,
            status="unverified" if opening.label == UNVERIFIED else "confirmed",
            tracks=[track.id],
            started_ns=started_ns,
            opened=trigger.at,
            confirmed=trigger.at,
            told=trigger.at,
            shown=opening.shown,
            box=trigger.box,
            decision=opening.decision,
            counted_from=trigger.at if opening.supersedes else None,
            late=trigger.late,
            supersedes=opening.supersedes,
        )
        self._memory.episodes[episode.id] = episode
        self._give(episode, track)
        return [self._say(episode, "new", picture=True)]

    def _give(self, episode: Episode, track: Track) -> None:
        track.episode = episode.id
        if track.id not in episode.tracks:
            episode.tracks.append(track.id)
        self._memory.touch(track)
        self._memory.touch(episode)

    def _continued(self, track: Track, opening: Opening) -> Episode | None:
        """Return the episode that this track continues: the same track, or the same place.

        Another track continues an episode only when none of the episode's own tracks lives:
        two objects side by side are two.
        """
        trigger = opening.trigger
        found: list[tuple[float, Episode]] = []
        for episode in self._memory.in_order():
            if episode.label != opening.label:
                continue
            if not episode.open and not self.in_cooldown(episode, trigger.at):
                continue
            overlap = max(look.box.overlap(episode.box) for look in opening.window)
            if track.id in episode.tracks:
                found.append((2.0, episode))
            elif overlap >= SAME_PLACE and not self._lives(episode, trigger.at):
                found.append((overlap, episode))
        return max(found, key=lambda each: each[0])[1] if found else None

    def in_cooldown(self, episode: Episode, now: Instant) -> bool:
        """Tell whether the `new` of this episode was less than `cooldown_s` ago.

        Of this one, not of any with its label: alerts elsewhere must not keep a place silent.
        """
        return abs(now.since(episode.opened)) < round(self.rule.cooldown_s * SECOND)

    def _lives(self, episode: Episode, now: Instant) -> bool:
        """Tell whether a track of the episode is in view; a killed detector ends none of its."""
        known = (self._memory.tracks.get(track) for track in episode.tracks)
        return any(
            track is not None
            and not track.ended
            and track.last.run == now.run
            and now.since(track.last) <= self._alive_ns
            for track in known
        )

    def _continue(self, episode: Episode, track: Track, opening: Opening) -> list[Changed]:
        trigger = opening.trigger
        self._give(episode, track)
        episode.box = trigger.box
        episode.confirmed, episode.quiet_ns = trigger.at, 0
        if episode.open:
            return self._offer(episode, opening.shown)
        # What went on to another episode since does not come back with this one.
        episode.tracks = [name for name in episode.tracks if self._is_still_of(name, episode)]
        episode.open, episode.ended_ns = True, None
        episode.shown, episode.decision = opening.shown, opening.decision
        episode.told, episode.late = trigger.at, trigger.late
        episode.supersedes = opening.supersedes or episode.supersedes
        episode.counted_from = trigger.at if opening.supersedes else None
        return [self._say(episode, "update", reason="reopened", picture=True)]

    def _is_still_of(self, track: str, episode: Episode) -> bool:
        known = self._memory.tracks.get(track)
        return known is None or known.episode == episode.id

    def has_covered(self, track: Track, window: Sequence[Look]) -> bool:
        """Tell whether a late window lies in a time that the track's ended episode covered."""
        episode = self._memory.episodes.get(track.episode or "")
        if episode is None or episode.open or episode.status == UNVERIFIED:
            return False
        if episode.confirmed.run != window[-1].frame.run:
            return False
        newest = max(look.frame.media_ns for look in window if look.outcome == "confirmed")
        return newest <= episode.confirmed.media_ns

    def follow(self, episode: Episode, track: Track, place: int) -> list[Changed]:
        """Take another look at the track of an open, confirmed episode."""
        look = track.looks[place]
        self._memory.touch(episode)
        if place == len(track.looks) - 1:
            episode.box = look.box
        if look.outcome != "confirmed":
            return self.update(episode, look.at)
        if look.at.since(episode.confirmed) > 0:
            episode.confirmed = look.at
            episode.quiet_ns = self._seen_after(look.at)
        if look.label == episode.label:
            return self._offer(episode, look)
        window = gathered(track.looks, place, self.rule, episode.counted_from)
        if window is None:
            return self.update(episode, look.at)
        ended = self.end(episode, "escalated", look.frame.captured_ns)
        return [ended, *self.open_verified(track, window, look, episode.id)]

    def _offer(self, episode: Episode, look: Look) -> list[Changed]:
        """Keep a clearly better look for the next update."""
        shown = episode.shown
        better = look.score >= shown.score + BETTER_SCORE or look.area >= BETTER_AREA * shown.area
        if better and (episode.better is None or look.score > episode.better.score):
            episode.better = look
        return self.update(episode, look.at)

    def update(self, episode: Episode, now: Instant) -> list[Changed]:
        """Say the better look that waits, if the last message is long enough ago."""
        if not episode.open or episode.better is None:
            return []
        if now.since(episode.told) < round(self.rule.update_s * SECOND):
            return []
        episode.shown, episode.better, episode.told = episode.better, None, now
        episode.late = episode.shown.late
        return [self._say(episode, "update", picture=True)]

    def _seen_after(self, at: Instant) -> int:
        seen = self._memory.seen
        return max(0, seen.since(at)) if seen is not None and seen.run == at.run else 0

    def grow_quiet(self, before: Instant, now: Instant) -> None:
        """Count the time between two moments of one run as seen."""
        for episode in self._memory.episodes.values():
            if episode.open:
                same_run = episode.confirmed.run == now.run
                start = max(before.media_ns, episode.confirmed.media_ns if same_run else 0)
                episode.quiet_ns += max(0, now.media_ns - start)
                self._memory.touch(episode)

    def end_if_quiet(self, episode: Episode, now: Instant) -> list[Changed]:
        """End a confirmed episode that has not been confirmed for `end_after_s` of seen time."""
        excess = episode.quiet_ns - round(self.rule.end_after_s * SECOND)
        if not episode.open or episode.status == UNVERIFIED or excess < 0:
            return []
        return [self.end(episode, "gone", now.captured_ns - excess)]

    def end(self, episode: Episode, reason: EndReason, at_ns: int) -> Changed:
        """End an episode at a Unix time; a better look that still waits is shown by now."""
        better, episode.better = episode.better, None
        episode.shown = better or episode.shown
        episode.open, episode.ended_ns = False, max(at_ns, episode.started_ns)
        return self._say(episode, "end", reason=reason, picture=better is not None)

    def _say(
        self,
        episode: Episode,
        event: Literal["new", "update", "end"],
        *,
        reason: Reason | None = None,
        picture: bool = False,
    ) -> Changed:
        if picture:
            episode.snapshot_id = f"{episode.id}.{episode.sequence}"
        said = Changed(event, replace(episode, tracks=list(episode.tracks)), reason, picture)
        episode.sequence += 1
        self._memory.touch(episode)
        return said
