"""What belongs to one camera: who decides, what is said, counted and set. No I/O, no clock."""

from collections.abc import Collection
from dataclasses import dataclass

from pydantic import JsonValue

from classifier_svc import settings
from classifier_svc.alerts import Tally
from classifier_svc.announce import Announcer
from classifier_svc.judge import Effect, Judge
from classifier_svc.outbox_rows import Outgoing
from classifier_svc.settings import Settings
from secondlook.messages import Counters


@dataclass(slots=True)
class Place:
    """One camera."""

    judge: Judge
    announcer: Announcer
    tally: Tally
    settings: Settings
    stored: Counters | None = None
    """The counters as they lie in the database."""

    def recall(self, kind: str, key: str, value: bytes) -> None:
        """Take back one row of `take_changes`.

        Raises:
            ValueError: It is not one of ours.
        """
        if kind == "counters":
            self.tally = Tally(Counters.model_validate_json(value), self.tally.zone)
        elif kind == "setting":
            self.settings.restore(key, value)
            self.judge.rule, self.judge.armed = self.settings.rule, self.settings.armed
        else:
            self.judge.memory.restore(kind, key, value)

    def take_changes(self) -> list[tuple[str, str, bytes | None]]:
        """Return (kind, key, value) of what changed since the last call; None: forgotten."""
        rows = self.judge.memory.take_changes() + self.settings.take_changes()
        if self.stored != self.tally.counters:
            self.stored = self.tally.counters
            rows.append(("counters", "", self.stored.encode()))
        return rows

    def begin(self, labels: Collection[str]) -> tuple[list[Outgoing], list[Effect]]:
        """Return how things stand, and what of it is over because its label alerts no more."""
        said = self.announcer.begin(self.judge.memory.episodes.values())
        said += [self.announcer.counters(self.tally)]
        said += [self.setting(key) for key in settings.KEYS]
        return said, self.judge.close_others(labels)

    def set(self, key: str, value: JsonValue, now_ns: int) -> list[Effect]:
        """Obey a command; return what follows from it.

        Args:
            key: One of `settings.KEYS`.
            value: None: what is configured.
            now_ns: Unix time.

        Raises:
            Unreadable: The value cannot hold; nothing has changed.
        """
        before = self.settings.armed
        self.settings.set(key, value)
        self.judge.rule, armed = self.settings.rule, self.settings.armed
        if armed == before:
            return []
        return self.judge.arm(now_ns) if armed else self.judge.disarm(now_ns)

    def setting(self, key: str) -> Outgoing:
        """Return the message that says which value is in force."""
        return self.announcer.setting(key, self.settings.in_force(key))
