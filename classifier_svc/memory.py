"""What is remembered of a camera: tracks, episodes, how far it was seen. Decides nothing.

All of it can be written out row by row and read back, so that it survives a restart.
"""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter

from classifier_svc.looks import SECOND, Instant, Look
from secondlook.messages import Box, Decision

FORGET_TRACK_NS = 60 * SECOND
"""A living track is looked at every second, and late looks are not later than this."""
MAX_TRACKS = 2000


@dataclass(slots=True)
class Track:
    """What is remembered of one track."""

    id: str
    last: Instant
    """The newest look, or the last sighting once it has ended."""
    looks: list[Look] = field(default_factory=list)
    """The newest ones, by `media_ns`."""
    taken: int = 0
    """All looks so far."""
    ended: bool = False
    episode: str | None = None
    """The id of the episode that it belongs to, open or over."""
    told: Instant | None = None
    """When `rejected` was last said of it; at first its first look."""
    rejection_counted: bool = False

    def place(self, look: Look, n: int, within_ns: int) -> int | None:
        """Put a look where its `media_ns` belongs; return that place, None for a known look.

        Late ones find enough of their neighbours still there: at least 2 n looks are kept, and
        up to 4 n (16 or more) of the time around the newest.
        """
        if any(known.id == look.id for known in self.looks):
            return None
        same_run = [known for known in self.looks if known.frame.run == look.frame.run]
        self.looks = sorted([*same_run, look], key=lambda each: (each.frame.media_ns, each.id))
        self.taken += 1
        if look.at.since(self.last) > 0:
            self.last = look.at
        newest = self.looks[-1].frame.media_ns
        oldest = newest - 4 * within_ns
        excess = [
            place
            for place, each in enumerate(self.looks[: -2 * n])
            if each.frame.media_ns < oldest or place < len(self.looks) - max(4 * n, 16)
        ]
        # What is dropped is a prefix, for the looks are in order; the new one may be in it.
        dropped = min(len(excess), self.looks.index(look))
        self.looks = self.looks[dropped:]
        return self.looks.index(look)


@dataclass(slots=True)
class Episode:
    """What is remembered of one episode."""

    id: str
    label: str
    status: Literal["confirmed", "unverified"]
    tracks: list[str]
    started_ns: int
    """Unix time of its first look."""
    opened: Instant
    """The look that opened it: the cooldown runs from here."""
    confirmed: Instant
    """The newest confirmed look."""
    told: Instant
    """The look behind its newest message."""
    shown: Look
    """The look that its messages show."""
    box: Box
    """Where its object was last."""
    decision: Decision
    counted_from: Instant | None = None
    """Looks up to here have had their effect on an escalation."""
    better: Look | None = None
    """A clearly better look that waits for its update."""
    quiet_ns: int = 0
    """Seen time since `confirmed`."""
    sequence: int = 0
    """The number of its next message."""
    open: bool = True
    late: bool = False
    supersedes: str | None = None
    snapshot_id: str = ""
    ended_ns: int | None = None


_TRACK: TypeAdapter[Track] = TypeAdapter(Track)
_EPISODE: TypeAdapter[Episode] = TypeAdapter(Episode)
_SEEN: TypeAdapter[tuple[Instant | None, list[str]]] = TypeAdapter(tuple[Instant | None, list[str]])


@dataclass(slots=True)
class Memory:
    """The memory of one camera."""

    tracks: dict[str, Track] = field(default_factory=dict)
    episodes: dict[str, Episode] = field(default_factory=dict)
    seen: Instant | None = None
    """Up to where the detector has looked."""
    past_runs: list[str] = field(default_factory=list)
    counted_from: Instant | None = None
    """When the camera was armed again: earlier looks do not count."""
    _touched: set[tuple[str, str]] = field(default_factory=set)

    def track_of(self, look: Look) -> Track:
        """Return the track of a look, made new if need be."""
        known = self.tracks.get(look.track)
        if known is None:
            if len(self.tracks) >= MAX_TRACKS:
                self.drop_track(min(self.tracks.values(), key=lambda t: t.last.captured_ns))
            known = self.tracks[look.track] = Track(look.track, look.at, told=look.at)
            # A late look of a track that was forgotten: its episode may be open still.
            mine = (e.id for e in self.in_order() if e.open and look.track in e.tracks)
            known.episode = next(mine, None)
        self.touch(known)
        return known

    def open_episode(self, track: Track) -> Episode | None:
        """Return the open episode of a track."""
        episode = self.episodes.get(track.episode or "")
        return episode if episode is not None and episode.open else None

    def in_order(self) -> list[Episode]:
        """Return the episodes by id, which is by their beginning: as before a restart, so after."""
        return [self.episodes[key] for key in sorted(self.episodes)]

    def drop_track(self, track: Track) -> None:
        """Forget a track."""
        self.touch(track)
        del self.tracks[track.id]

    def drop_episode(self, episode: Episode) -> None:
        """Forget an episode."""
        self.touch(episode)
        del self.episodes[episode.id]

    def drop_all(self) -> None:
        """Forget all tracks and episodes; how far was seen stays."""
        for track in list(self.tracks.values()):
            self.drop_track(track)
        for episode in list(self.episodes.values()):
            self.drop_episode(episode)

    def count_from(self, now_ns: int, most_ns: int) -> None:
        """Let earlier looks not count.

        Args:
            now_ns: Unix time.
            most_ns: The detector was heard of no longer ago than this.
        """
        run, media_ns = "", 0
        if self.seen is not None:
            # On the camera's own clock, which nobody sets.
            ahead_ns = min(max(0, now_ns - self.seen.captured_ns), most_ns)
            run, media_ns = self.seen.run, self.seen.media_ns + ahead_ns
        self.counted_from = Instant(run=run, media_ns=media_ns, captured_ns=now_ns)
        self._touched.add(("counted_from", ""))

    def step_to(self, now: Instant) -> Instant | None:
        """Move `seen` on; return where it was. None: this is the first, or an old one."""
        before = self.seen
        known = before is not None and (before.run == now.run or now.run in self.past_runs)
        # An earlier run is believed only when it is the newer one by the wall clock: a Seen
        # sent again must not take us back, nor may we be stuck where one took us.
        if before is not None and known and now.since(before) <= 0:
            return None
        if before is not None and before.run != now.run:
            self.past_runs = [*(r for r in self.past_runs[-15:] if r != now.run), before.run]
        self.seen = now
        self._touched.add(("seen", ""))
        return before

    def touch(self, part: Track | Episode) -> None:
        """Note that a part has changed and is to be stored."""
        self._touched.add(("track" if isinstance(part, Track) else "episode", part.id))

    def take_changes(self) -> list[tuple[str, str, bytes | None]]:
        """Return (kind, key, JSON) of what changed since the last call; None: deleted."""
        touched, self._touched = sorted(self._touched), set()
        return [(kind, key, self._dump(kind, key)) for kind, key in touched]

    def _dump(self, kind: str, key: str) -> bytes | None:
        if kind == "track":
            return _TRACK.dump_json(self.tracks[key]) if key in self.tracks else None
        if kind == "episode":
            return _EPISODE.dump_json(self.episodes[key]) if key in self.episodes else None
        if kind == "counted_from":
            return self.counted_from.model_dump_json().encode() if self.counted_from else None
        return _SEEN.dump_json((self.seen, self.past_runs))

    def restore(self, kind: str, key: str, value: bytes) -> None:
        """Take back one row of `take_changes`.

        Raises:
            ValueError: It is not one of ours.
        """
        if kind == "track":
            self.tracks[key] = _TRACK.validate_json(value)
        elif kind == "episode":
            self.episodes[key] = _EPISODE.validate_json(value)
        elif kind == "counted_from":
            self.counted_from = Instant.model_validate_json(value)
        elif kind == "seen":
            self.seen, self.past_runs = _SEEN.validate_json(value)
        else:
            raise ValueError("unknown")
