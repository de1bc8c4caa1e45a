"""The options of a camera's source: `name=value` pairs after its question mark. Opens nothing."""

import re
from pathlib import Path

from secondlook.errors import ConfigError


class Options:
    """`name=value` pairs after the question mark; each is asked for once, by name."""

    def __init__(self, scheme: str, query: str) -> None:
        self._scheme = scheme
        self._given: dict[str, str] = {}
        for pair in filter(None, query.split("&")):
            name, _, value = pair.partition("=")
            self._given[name] = value
        self._known: list[str] = []

    def text(self, name: str) -> str | None:
        """Return what was given, or None."""
        self._known.append(name)
        return self._given.pop(name, None)

    def flag(self, name: str, default: bool) -> bool:
        """Return a 0 or 1 as a truth value."""
        said = self.text(name)
        if said not in (None, "0", "1"):
            raise ConfigError(f"{self._scheme}: {name} is 0 or 1")
        return default if said is None else said == "1"

    def whole(self, name: str, default: int | None) -> int | None:
        """Return a whole number."""
        said = self.text(name)
        if said is None:
            return default
        if not said.isdecimal() or len(said) > 9:  # noqa: PLR2004 - more is no size and no seed
            raise ConfigError(f"{self._scheme}: {name} is a whole number")
        return int(said)

    def number(self, name: str) -> float | None:
        """Return a number above 0."""
        said = self.text(name)
        if said is None:
            return None
        if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", said) or float(said) == 0:
            raise ConfigError(f"{self._scheme}: {name} is a number above 0")
        return float(said)

    def path(self, name: str) -> Path | None:
        """Return a path."""
        said = self.text(name)
        return Path(said).expanduser() if said else None

    def refuse_unknown(self) -> None:
        """Refuse what nobody asked for."""
        for name in self._given:
            known = ", ".join(self._known)
            raise ConfigError(f"{self._scheme}: there is no option {name[:40]}; there are: {known}")
