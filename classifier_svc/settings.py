"""What people set while it runs: armed, scores, cooldown. Over the configuration; no I/O."""

import json
from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from secondlook.config import Alerts
from secondlook.errors import Unreadable

KEYS = ("armed", "confirm_score", "cooldown_s")
EXPECTED = {
    "armed": "true or false",
    "confirm_score": "a number from 0 to 1, or an object with such numbers for some of {labels}",
    "cooldown_s": "a number of seconds from 0 to 86400",
}


class Settings:
    """The settings of one camera.

    Args:
        configured: What holds where nobody has set anything.
    """

    def __init__(self, configured: Alerts) -> None:
        self._configured = configured
        self._given: dict[str, JsonValue] = {}
        self._touched: set[str] = set()
        self.rule = configured
        """The `alerts` section in force."""

    @property
    def armed(self) -> bool:
        """Whether the camera raises alerts."""
        return self._given.get("armed") is not False

    def in_force(self, key: str) -> JsonValue:
        """Return the value of one of `KEYS`; the score is one number where all labels agree."""
        if key == "armed":
            return self.armed
        if key == "cooldown_s":
            return self.rule.cooldown_s
        scores = {label: self.rule.score_needed(label) for label in self.rule.labels}
        first, *others = scores.values()
        return first if all(score == first for score in others) else dict(scores)

    def set(self, key: str, value: JsonValue) -> None:
        """Let a value hold from now on; None: what the configuration says.

        Raises:
            Unreadable: The value cannot hold; nothing has changed.
        """
        given = {name: known for name, known in self._given.items() if name != key}
        if value is not None:
            given[key] = self._completed(value) if key == "confirm_score" else value
        self.rule = self._made(given, key)
        self._given = given
        self._touched.add(key)

    def _completed(self, value: JsonValue) -> JsonValue:
        """Let the labels that an object leaves out keep what has been set for them."""
        known = self._given.get("confirm_score")
        if not isinstance(value, Mapping) or known is None:
            return value
        before = known if isinstance(known, Mapping) else dict.fromkeys(self.rule.labels, known)
        return {**before, **value}

    def _made(self, given: Mapping[str, JsonValue], key: str) -> Alerts:
        changes = {name: value for name, value in given.items() if name != "armed"}
        scores = changes.get("confirm_score")
        if isinstance(scores, Mapping):
            configured = self._configured
            all_scores = {label: configured.score_needed(label) for label in configured.labels}
            changes["confirm_score"] = {**all_scores, **scores}
        try:
            made = Alerts.model_validate(self._configured.model_dump() | changes, strict=True)
        except ValidationError:
            made = None
        if made is None or scores == {} or not isinstance(given.get("armed", True), bool):
            expected = EXPECTED[key].format(labels=", ".join(self._configured.labels))
            raise Unreadable(f"{key} must be {expected}, or null for what is configured")
        return made

    def take_changes(self) -> list[tuple[str, str, bytes | None]]:
        """Return (kind, key, JSON) of what was set since the last call; None: set no more."""
        touched, self._touched = sorted(self._touched), set()
        return [
            ("setting", key, json.dumps(self._given[key]).encode() if key in self._given else None)
            for key in touched
        ]

    def restore(self, key: str, value: bytes) -> None:
        """Take back one row of `take_changes`; a label that alerts no more is left out.

        Raises:
            ValueError: It cannot hold any more, or is not one of ours.
        """
        found = json.loads(value)
        if key == "confirm_score" and isinstance(found, dict):
            found = {label: s for label, s in found.items() if label in self._configured.labels}
        if key not in KEYS or found is None:
            raise ValueError("no such setting")
        try:
            self.set(key, found)
        except Unreadable as error:
            raise ValueError(str(error)) from error
        self._touched.discard(key)
