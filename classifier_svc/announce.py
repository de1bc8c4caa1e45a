"""From effects to the messages that leave: which ones, and in which order. No I/O, no clock."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from classifier_svc.alerts import Tally, alert_of, event_of
from classifier_svc.blind import record
from classifier_svc.episodes import UNVERIFIED, Changed
from classifier_svc.judge import Effect, Gap
from classifier_svc.memory import Episode
from classifier_svc.outbox_rows import Outgoing, outgoing
from classifier_svc.pictures import Pictures
from secondlook import topics
from secondlook.messages import Alert, Blind, BlindNow, Event


class Announcer:
    """What one camera says, and the states it has said.

    Args:
        camera: Its name.
        root: The first level of every topic.
        labels: The labels that alert.
    """

    def __init__(self, camera: str, root: str, labels: Sequence[str]) -> None:
        self._camera = camera
        self._root = root
        self._labels = labels
        self._open: defaultdict[str, set[str]] = defaultdict(set)

    def begin(self, episodes: Iterable[Episode]) -> list[Outgoing]:
        """Take up the open episodes; return the state of every label.

        A label that is not ON is OFF, whatever a broker remembers: there is no ghost.
        """
        for episode in episodes:
            if episode.open and episode.status != UNVERIFIED:
                self._open[episode.label].add(episode.id)
        return [self._state(label) for label in self._labels]

    def alert(
        self, change: Changed, pictures: Pictures | None, now_ns: int
    ) -> tuple[Alert, list[Outgoing]]:
        """Return the alert about a change and all messages that go with it.

        The snapshot goes before its alert, what people trigger on after what tells them more.
        """
        alert = alert_of(change, camera=self._camera, root=self._root, now_ns=now_ns)
        levels = {"camera": self._camera, "label": alert.label}
        messages = []
        if pictures is not None:
            for kind, picture in (("crop", pictures.crop), ("clean", pictures.clean)):
                if picture is not None:
                    messages.append(self._picture(kind, picture))
            messages.append(outgoing(topics.SNAPSHOTS, pictures.snapshot, camera=self._camera))
        messages.append(outgoing(topics.ALERTS, alert, **levels))
        messages.append(outgoing(topics.LAST, alert, **levels))
        if alert.event == "new":
            messages.append(outgoing(topics.NEWEST, alert, camera=self._camera))
        return alert, messages + self._state_after(change)

    def _picture(self, kind: str, jpeg: bytes) -> Outgoing:
        return outgoing(topics.PICTURES, jpeg, camera=self._camera, kind=kind)

    def _state_after(self, change: Changed) -> list[Outgoing]:
        episode = change.episode
        if episode.status == UNVERIFIED:
            return []
        before = bool(self._open[episode.label])
        if change.event == "end":
            self._open[episode.label].discard(episode.id)
        else:
            self._open[episode.label].add(episode.id)
        return [] if before == bool(self._open[episode.label]) else [self._state(episode.label)]

    def _state(self, label: str) -> Outgoing:
        state: topics.OnOff = "ON" if self._open[label] else "OFF"
        return outgoing(topics.STATE, state, camera=self._camera, label=label)

    def event(self, effect: Effect, now_ns: int) -> list[Outgoing]:
        """Return the line for the log book, and the blind time of a gap."""
        if isinstance(effect, Gap):
            blind = record(self._camera, effect.from_ns, effect.to_ns, effect.why)
            return [self.blind(blind)] if blind else []
        event = event_of(effect, camera=self._camera, now_ns=now_ns)
        return [self.plain(event)] if event else []

    def plain(self, event: Event) -> Outgoing:
        """Return an event."""
        return outgoing(topics.EVENTS, event, camera=self._camera)

    def blind(self, blind: Blind) -> Outgoing:
        """Return a blind time."""
        return outgoing(topics.BLIND, blind, camera=self._camera)

    def blind_now(self, now: BlindNow) -> Outgoing:
        """Return whether the camera can be seen."""
        return outgoing(topics.BLIND_NOW, now, camera=self._camera)

    def counters(self, tally: Tally) -> Outgoing:
        """Return the day so far."""
        return outgoing(topics.COUNTERS, tally.counters, camera=self._camera)

    def setting(self, key: str, value: JsonValue) -> Outgoing:
        """Return the value of a setting that is in force."""
        return outgoing(topics.CONFIG, value, camera=self._camera, key=key)

    def test(self, alerts: Sequence[Alert], picture: bytes) -> list[Outgoing]:
        """Return a test alert: the whole way, but never `state` and never `last`."""
        return [
            outgoing(topics.SNAPSHOTS, picture, camera=self._camera),
            *(
                outgoing(topics.ALERTS, alert, camera=self._camera, label=alert.label)
                for alert in alerts
            ),
        ]


def messages_of(
    effects: Sequence[Effect],
    announcer: Announcer,
    pictures: Mapping[str, Pictures],
    now_ns: int,
) -> tuple[list[Alert], list[Outgoing]]:
    """Return the alerts among the effects, and every message that they lead to, in order.

    Args:
        effects: Of one camera.
        announcer: Of that camera.
        pictures: By `snapshot_id`.
        now_ns: Unix time.
    """
    alerts: list[Alert] = []
    messages: list[Outgoing] = []
    for effect in effects:
        if isinstance(effect, Changed):
            drawn = pictures.get(effect.episode.snapshot_id) if effect.picture else None
            alert, more = announcer.alert(effect, drawn, now_ns)
            alerts.append(alert)
            messages += more
        messages += announcer.event(effect, now_ns)
    return alerts, messages
