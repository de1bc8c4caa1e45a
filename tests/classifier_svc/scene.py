"""A camera for tests of the decision: short words for looks, ends and seen time."""

import itertools
from typing import Any

from classifier_svc.episodes import Changed
from classifier_svc.judge import Effect, Gap, Judge, Rejected
from classifier_svc.looks import Look
from secondlook.config import Alerts
from secondlook.messages import Box, Classified, Detected, FrameRef, Latency, Seen, TrackEnded

START = 1_795_328_000_000_000_000
OUTCOMES = {"s": "small_gun", "b": "big_gun", "r": "phone", "u": "small_gun"}
HERE = (100, 100, 200, 200)
THERE = (600, 100, 700, 200)


def ns(seconds: float) -> int:
    return round(seconds * 1_000_000_000)


def box(corners: tuple[int, int, int, int]) -> Box:
    x1, y1, x2, y2 = corners
    return Box(x1=x1, y1=y1, x2=x2, y2=y2)


def frame(at: float, run: str = "r1", offset: float = 0.0) -> FrameRef:
    captured_ns = START + ns(at + offset)
    return FrameRef(
        id=f"yard-{captured_ns}",
        camera="yard",
        run=run,
        sequence=0,
        captured_ns=captured_ns,
        media_ns=ns(at),
        width=1920,
        height=1080,
    )


def look(
    at: float,
    what: str = "s",
    *,
    track: str = "1",
    run: str = "r1",
    score: float | None = None,
    where: tuple[int, int, int, int] = HERE,
    offset: float = 0.0,
    **more: Any,
) -> Look:
    """s: small_gun confirmed, b: big_gun confirmed, r: rejected as phone, u: uncertain."""
    outcome = {"r": "rejected", "u": "uncertain"}.get(what, "confirmed")
    label = OUTCOMES[what]
    known = score if score is not None else {"u": 0.6}.get(what, 0.9)
    fields: dict[str, Any] = {
        "id": f"yard-{track}.{ns(at)}",
        "track": f"yard-{track}",
        "frame": frame(at, run, offset),
        "box": box(where),
        "detector": Detected(model="yolov5", version="1", label="suspect", score=0.6),
        "classifier": Classified(model="efficientnet_b0", version="1", scores={label: known}),
        "outcome": outcome,
        "label": label,
        "score": known,
        "latency": Latency(detected=40, received=42, classified=60, decided=61),
    }
    return Look.model_validate(fields | more)


class Scene:
    """A judge with its history, which the invariants are checked against."""

    def __init__(self, *, gap_s: float = 3.0, **rule: Any) -> None:
        self.rule = Alerts.model_validate(rule)
        self._gap_s = gap_s
        self._ids = itertools.count(1)
        self.judge = self._new_judge()
        self.history: list[Effect] = []

    def _new_judge(self) -> Judge:
        return Judge(
            "yard",
            self.rule,
            entropy=lambda: next(self._ids).to_bytes(10, "big"),
            gap_s=self._gap_s,
        )

    def _note(self, effects: list[Effect]) -> list[str]:
        self.history += effects
        return [said(effect) for effect in effects]

    def look(self, at: float, what: str = "s", **more: Any) -> list[str]:
        return self._note(self.judge.look(look(at, what, **more)))

    def take(self, taken: Look) -> list[str]:
        return self._note(self.judge.look(taken))

    def looks(self, *given: tuple[float, str], **more: Any) -> list[str]:
        return [line for at, what in given for line in self.look(at, what, **more)]

    def ended(self, at: float, track: str = "1", run: str = "r1") -> list[str]:
        message = TrackEnded(
            camera="yard",
            track=f"yard-{track}",
            run=run,
            media_ns=ns(at),
            captured_ns=START + ns(at),
            looks=1,
        )
        return self._note(self.judge.track_ended(message))

    def seen(
        self,
        at: float,
        run: str = "r1",
        offset: float = 0.0,
        *,
        heard: bool = True,
        unbroken_since: float | None = None,
    ) -> list[str]:
        message = Seen(
            camera="yard",
            run=run,
            media_ns=ns(at),
            captured_ns=START + ns(at + offset),
            unbroken_since_ns=None if unbroken_since is None else START + ns(unbroken_since),
        )
        return self._note(self.judge.seen(message, heard=heard))

    def watch(self, start: float, end: float, **more: Any) -> list[tuple[float, str]]:
        """Say each second that the detector has looked; return what followed and when."""
        told = []
        at = start
        while at <= end:
            told += [(at, line) for line in self.seen(at, **more)]
            at += 1
        return told

    def silent(self, *waiting: Look) -> list[str]:
        return self._note(self.judge.model_silent(list(waiting), 2.0))

    def settle(self, *waiting: str, model_up: bool = True) -> list[str]:
        return self._note(self.judge.settle(waiting, model_up=model_up))

    def restart(self) -> None:
        """Write everything out, and begin again from that alone."""
        rows = self._rows = getattr(self, "_rows", {})
        for kind, key, value in self.judge.memory.take_changes():
            if value is None:
                rows.pop((kind, key), None)
            else:
                rows[kind, key] = value
        self.judge = self._new_judge()
        for (kind, key), value in rows.items():
            self.judge.memory.restore(kind, key, value)

    @property
    def changes(self) -> list[Changed]:
        return [effect for effect in self.history if isinstance(effect, Changed)]

    def check(self) -> None:
        """What must hold whatever happened."""
        episodes: dict[str, list[Changed]] = {}
        for change in self.changes:
            episodes.setdefault(change.episode.id, []).append(change)
        for said_of_it in episodes.values():
            assert [c.episode.sequence for c in said_of_it] == list(range(len(said_of_it)))
            assert [c.event for c in said_of_it].count("new") == 1
            assert said_of_it[0].event == "new"
            assert len({c.episode.label for c in said_of_it}) == 1
            is_open = False
            for change in said_of_it:
                assert is_open == (
                    change.event == "end" or (change.event == "update" and not change.reason)
                )
                is_open = change.event != "end"
                if change.reason == "reopened":
                    since = abs(change.episode.confirmed.since(change.episode.opened))
                    assert since < ns(self.rule.cooldown_s)


def said(effect: Effect) -> str:
    """Put an effect into a line: event, label, reason; `~` marks a new picture."""
    if isinstance(effect, Rejected):
        return "rejected" + " again" * (not effect.first)
    if isinstance(effect, Gap):
        return f"blind {(effect.to_ns - effect.from_ns) / 1e9:g} s"
    words = [effect.event, effect.episode.label, effect.reason or ""]
    return " ".join(word for word in words if word)
