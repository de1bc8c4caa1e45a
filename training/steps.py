"""Which steps of a long work are done, kept in a JSON file so that a later call goes on there."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Facts = dict[str, Any]
"""What a step wants to remember: anything JSON holds."""


class Steps:
    """The steps of one work.

    The options that decide what is made are part of it: with others, the work is another one.
    """

    def __init__(self, file: Path, names: tuple[str, ...], options: Facts) -> None:
        self._file, self._names = file, names
        self._options: Facts = json.loads(json.dumps(options))
        self._done: dict[str, Facts] = {}
        self._started = time.monotonic()
        if file.exists():
            kept = json.loads(file.read_text())
            if kept["options"] != self._options:
                other = sorted(key for key in {*kept["options"], *self._options}
                               if kept["options"].get(key) != self._options.get(key))  # fmt: skip
                raise click.ClickException(
                    f"{file} is of a work with another {', '.join(other)}: "
                    "give the same options to go on, or another folder to begin anew"
                )
            self._done = kept["done"]

    def do(self, name: str, work: Callable[[], Facts | None]) -> Facts:
        """Do a step unless it is done, and return its facts."""
        place = f"[{self._names.index(name) + 1} of {len(self._names)}] {name}"
        if name in self._done:
            click.echo(f"{place}: done before")
            return self._done[name]
        click.secho(f"{place} ({self.minutes():.1f} minutes so far)", bold=True)
        facts = work() or {}
        self._done[name] = facts
        self._keep()
        return facts

    def is_done(self, name: str) -> bool:
        """Return whether a step is done."""
        return name in self._done

    def minutes(self) -> float:
        """Return the minutes since this call began."""
        return (time.monotonic() - self._started) / 60

    def _keep(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps({"options": self._options, "done": self._done}, indent=1) + "\n")
        part.replace(self._file)
