"""Decides for one camera: told what happened, it returns what follows. No clock, no I/O."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from classifier_svc.episodes import UNVERIFIED, Changed, Episodes, Opening
from classifier_svc.looks import SECOND, Instant, Look, opening
from classifier_svc.memory import FORGET_TRACK_NS, Memory, Track
from secondlook.config import Alerts
from secondlook.messages import Decision, Seen, TrackEnded

REJECTED_EVERY_NS = 60 * SECOND
SLACK_NS = 10 * SECOND
"""What a call of the model may add to the age of a look."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A track came to nothing so far."""

    look: Look
    """The best of its rejected looks, else of all."""
    first: bool
    """Whether the track had not been counted yet."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Nobody looked, from one Unix time to another."""

    from_ns: int
    to_ns: int
    why: str


Effect = Changed | Rejected | Gap


class Judge:
    """Decides for one camera.

    Args:
        camera: Its name.
        rule: The `alerts` section.
        entropy: Returns 10 random bytes for a new alert id.
        gap_s: The detector says at least this often how far it has looked; a longer step was
            not seen.
        alive_s: A track without a look for longer than this is not in view any more.
        hold_s: No look is older than this when it is judged.
    """

    def __init__(
        self,
        camera: str,
        rule: Alerts,
        *,
        entropy: Callable[[], bytes],
        gap_s: float = 5.0,
        alive_s: float = 3.0,
        hold_s: float = 300.0,
    ) -> None:
        self.memory = Memory()
        self.armed = True
        """Whether looks count."""
        self._gap_ns = round(gap_s * SECOND)
        self._hold_ns = round(hold_s * SECOND)
        self._episodes = Episodes(camera, rule, self.memory, entropy, alive_s)

    @property
    def rule(self) -> Alerts:
        """By what it decides; may be replaced at any time."""
        return self._episodes.rule

    @rule.setter
    def rule(self, rule: Alerts) -> None:
        self._episodes.rule = rule

    def disarm(self, now_ns: int) -> list[Effect]:
        """End what is open; no look counts from here on, and none that came before.

        Args:
            now_ns: Unix time.
        """
        self.armed = False
        episodes = self.memory.in_order()
        ended = [self._episodes.end(each, "disarmed", now_ns) for each in episodes if each.open]
        # What is still there when it is armed again is new: it begins an episode of its own.
        self.memory.drop_all()
        return [*ended]

    def arm(self, now_ns: int) -> list[Effect]:
        """Let looks count that are captured from now on.

        Args:
            now_ns: Unix time.
        """
        self.armed = True
        self.memory.count_from(now_ns, self._hold_ns)
        return []

    def _counts(self, look: Look) -> bool:
        """Tell whether a look was captured since the camera has been armed."""
        begin = self.memory.counted_from
        if not self.armed or begin is None:
            return self.armed
        # None is older than `hold_s`: what seems to be is of a clock that was set back since.
        return not -self._hold_ns - SLACK_NS <= look.at.since(begin) < 0

    def episode_of(self, track: str) -> str | None:
        """Return the alert id of the episode that a track belongs to by now."""
        known = self.memory.tracks.get(track)
        return known.episode if known else None

    def is_urgent(self, track: str) -> bool:
        """Tell whether a look at this track may open or change an episode soon."""
        known = self.memory.tracks.get(track)
        if not self.armed:
            return False
        if known is None or known.taken < self.rule.n:
            return True
        return self.memory.open_episode(known) is not None

    def open_labels(self) -> frozenset[str]:
        """Return the labels whose state is ON: a confirmed episode of theirs is open."""
        episodes = self.memory.episodes.values()
        return frozenset(e.label for e in episodes if e.open and e.status == "confirmed")

    def look(self, look: Look) -> list[Effect]:
        """Take a judged look. A look that is known already changes nothing."""
        if not self._counts(look):
            return []
        track = self.memory.track_of(look)
        place = track.place(look, self.rule.n, round(self.rule.within_s * SECOND))
        if place is None:
            return []
        episode = self.memory.open_episode(track)
        if episode is not None and episode.status == "confirmed":
            return [*self._episodes.follow(episode, track, place)]
        window = opening(track.looks, place, self.rule)
        if window is not None and not self._episodes.has_covered(track, window):
            return [*self._episodes.open_verified(track, window, look)]
        if look.outcome == "rejected" and track.episode is None:
            return self._reject_again(track, look)
        return []

    def track_ended(self, ended: TrackEnded) -> list[Effect]:
        """Take the end of a track whose crops have all been judged or shed."""
        track = self.memory.tracks.get(ended.track)
        return [] if track is None or track.ended else self._finish(track)

    def seen(self, seen: Seen, *, heard: bool = True) -> list[Effect]:
        """Take how far the detector has looked; crops up to there have been judged or shed.

        Args:
            seen: The message.
            heard: False where the connection to the detector was cut since the last one: then
                it may have looked although it was not heard, and no gap is told.
        """
        now = Instant(run=seen.run, media_ns=seen.media_ns, captured_ns=seen.captured_ns)
        before = self.memory.step_to(now)
        if self.memory.seen is not now:
            return []
        effects: list[Effect] = []
        unbroken_ns = seen.unbroken_since_ns
        if before is not None and unbroken_ns is not None and unbroken_ns > before.captured_ns:
            opened = before.run != now.run
            why = "the camera was opened again" if opened else "the detector did not look"
            # It need not have been heard: this message itself says from when on it has looked.
            effects.append(Gap(before.captured_ns, unbroken_ns, why))
        elif before is not None and before.run != now.run:
            effects += _gap(before, now, "the camera was opened again")
        elif before is not None and unbroken_ns is None and self._is_gap(before, now):
            effects += _gap(before, now, "the detector did not look") if heard else []
        elif before is not None:
            self._episodes.grow_quiet(before, now)
        for episode in self.memory.in_order():
            effects += self._episodes.update(episode, now)
            effects += self._episodes.end_if_quiet(episode, now)
        return effects + self._forget(now)

    def model_silent(self, waiting: Sequence[Look], silent_s: float) -> list[Effect]:
        """Let episodes pass unverified: the model has not answered for `silent_s`.

        Args:
            waiting: The crops that wait, in order, as looks without a classifier.
            silent_s: For the text of the decision.
        """
        by_track: dict[str, list[Look]] = {}
        for look in filter(self._counts, waiting):
            by_track.setdefault(look.track, []).append(look)
        effects: list[Effect] = []
        for looks in by_track.values():
            track = self.memory.track_of(looks[0])
            confirmed = sum(look.outcome == "confirmed" for look in track.looks)
            if self.memory.open_episode(track) or len(looks) + confirmed < self.rule.k:
                continue
            decision = Decision(
                rule=f"the classifier's model has not answered for {silent_s:.1f} s",
                confirmed=confirmed,
                rejected=0,
                uncertain=len(looks),
            )
            effects += self._episodes.begin(track, Opening(looks, looks[-1], UNVERIFIED, decision))
        return effects

    def settle(self, waiting: Collection[str], *, model_up: bool) -> list[Effect]:
        """End the unverified episodes of tracks that have been judged, or never will be.

        Args:
            waiting: The tracks of which crops still wait.
            model_up: Whether the model answers.
        """
        effects: list[Effect] = []
        for episode in self.memory.in_order():
            if not episode.open or episode.status != UNVERIFIED:
                continue
            if any(track in waiting for track in episode.tracks):
                continue
            known = (self.memory.tracks.get(track) for track in episode.tracks)
            tracks = [track for track in known if track is not None]
            taken = sum(track.taken for track in tracks)
            over = all(track.ended for track in tracks)
            if over or (model_up and taken >= self.rule.n):
                last = max((t.last.captured_ns for t in tracks), default=episode.told.captured_ns)
                effects.append(self._episodes.end(episode, "rejected" if taken else "gone", last))
        return effects

    def close_others(self, labels: Collection[str]) -> list[Effect]:
        """End the open episodes whose label is none of these: it alerts no more."""
        return [
            self._episodes.end(episode, "gone", episode.told.captured_ns)
            for episode in self.memory.in_order()
            if episode.open and episode.label not in labels
        ]

    def _is_gap(self, before: Instant, now: Instant) -> bool:
        """Tell whether time went by unseen, on both clocks of the run.

        A clip that is read as fast as possible makes large steps in `media_ns` alone, a wall
        clock that is set makes one in `captured_ns` alone.
        """
        steps = (now.media_ns - before.media_ns, now.captured_ns - before.captured_ns)
        return min(steps) > self._gap_ns

    def _finish(self, track: Track) -> list[Effect]:
        track.ended = True
        self.memory.touch(track)
        return [_reject(track)] if track.taken and track.episode is None else []

    def _reject_again(self, track: Track, look: Look) -> list[Effect]:
        if track.told is not None and look.at.since(track.told) < REJECTED_EVERY_NS:
            return []
        track.told = look.at
        return [_reject(track)]

    def _forget(self, now: Instant) -> list[Effect]:
        """End tracks of an earlier run or of whom nothing is heard; drop what is long over."""
        effects: list[Effect] = []
        for track in list(self.memory.tracks.values()):
            silent = abs(now.since(track.last)) > FORGET_TRACK_NS
            if not track.ended and (silent or track.last.run in self.memory.past_runs):
                effects += self._finish(track)
            if track.ended and silent:
                self.memory.drop_track(track)
        for episode in self.memory.in_order():
            if not episode.open and not self._episodes.in_cooldown(episode, now):
                self.memory.drop_episode(episode)
        return effects


def _reject(track: Track) -> Rejected:
    best = max(track.looks, key=lambda look: (look.outcome == "rejected", look.score))
    first, track.rejection_counted = not track.rejection_counted, True
    return Rejected(best, first)


def _gap(before: Instant, now: Instant, why: str) -> list[Effect]:
    if now.captured_ns <= before.captured_ns:
        return []
    return [Gap(before.captured_ns, now.captured_ns, why)]
