"""Which settings of a served model to try, which of them to take, and how to write them. No I/O."""

import copy
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

Role = Literal["detector", "classifier"]

MOST: Final = 16
"""Instances of a model, and threads of an instance, that are tried: each instance takes memory."""
AUTO_MOST: Final = 4
"""Threads of an instance that `auto` means at most, as 1/model.py has it."""
CLASSIFIER_CALLS: Final = 2
"""So many calls the classifier has under way: more instances would have nothing to do."""
MOST_CALLS: Final = 64
"""The most that `detector.in_flight` may be."""
DELAY: Final = 1.5
"""A single request may take so many times what it takes with the settings that are best at it."""
GAIN: Final = 1.03
"""What is faster by less is not worth a change."""
UNSTEADY: Final = 1.25
"""Rounds of the same settings that differ by more tell little: something else was at work."""

_GROUP: Final = re.compile(r"^[ \t]*instance_group\s*:?\s*(\[[^\]]*\]|\{[^}]*\})", re.MULTILINE)
_COUNT: Final = re.compile(r"\bcount\s*:\s*\d+")
_THREADS: Final = re.compile(
    r'(\bparameters\s*:?\s*\{\s*key\s*:\s*"threads"\s*,?\s*value\s*:?\s*'
    r'\{\s*string_value\s*:\s*")[^"]*(")'
)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is served and asked."""

    instances: int
    threads: str | None
    """Of an instance, a number or `auto`; None: what runs the model has no such parameter."""
    in_flight: int
    """Calls under way."""
    batch: int
    """Pictures of a call."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one Triton with some settings did in one round."""

    per_s: float
    """Pictures, with as many calls under way as the service has."""
    delay_ms: float
    """Of a single request with one picture, the median."""


@dataclass(slots=True)
class Trial:
    """Settings, and how they did."""

    settings: Settings
    rounds: list[Measured] = field(default_factory=list)
    fault: str | None = None
    """Why they cannot be used."""

    @property
    def usable(self) -> bool:
        """Whether something was measured and nothing failed."""
        return bool(self.rounds) and self.fault is None

    @property
    def per_s(self) -> float:
        """The median of its rounds."""
        return statistics.median(each.per_s for each in self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The slowest and the fastest of its rounds, in pictures per second."""
        each = [measured.per_s for measured in self.rounds]
        return min(each), max(each)

    @property
    def delay_ms(self) -> float:
        """The median of its rounds."""
        return statistics.median(each.delay_ms for each in self.rounds)

    def gains(self, other: "Trial") -> list[float]:
        """Return how many times as fast as another it was, round by round."""
        return [
            mine.per_s / its.per_s for mine, its in zip(self.rounds, other.rounds, strict=False)
        ]


def present(config: Mapping[str, Any], *, in_flight: int, batch: int) -> Settings:
    """Return the settings of a model's configuration, in JSON form.

    Raises:
        ValueError: It has several groups of instances; the text continues "it ...".
    """
    groups = config.get("instance_group", [])
    if len(groups) > 1:
        raise ValueError("has several groups of instances")
    instances = int(groups[0].get("count", 1)) if groups else 1
    own = config.get("default_model_filename", "model.py") == "model.py"
    threads = config.get("parameters", {}).get("threads", {}).get("string_value", "1")
    knows = config.get("backend") == "python" and own
    return Settings(instances, str(threads) if knows else None, in_flight, batch)


def candidates(now: Settings, *, role: Role, cores: int, max_batch: int) -> list[Settings]:
    """Return the settings to try, the present ones first.

    On the processor: instances times threads between half the cores and all of them. Else, as on
    a GPU: a few instances, and for the detector pictures of a call.

    Args:
        now: The present settings.
        role: Which service asks the model.
        cores: That may be used.
        max_batch: The most pictures that the model takes in a call.
    """
    most = CLASSIFIER_CALLS if role == "classifier" else MOST
    tried: list[tuple[int, str | None, int]] = []
    if now.threads is not None:
        sizes = sorted({1, 2, 4, 8, 16, max(1, cores // 2), cores})
        pairs = [(i, t) for i in sizes for t in sizes if cores <= 2 * i * t <= 2 * cores]
        tried = [(i, str(t), now.batch) for i, t in pairs if i <= most and t <= MOST]
    else:
        wanted = (1, 4, 8) if role == "detector" else (now.batch,)
        batches = dict.fromkeys(min(b, max(1, max_batch)) for b in wanted)
        tried = [(i, None, b) for i in (1, 2, 4) if i <= most for b in batches]
    found = [Settings(i, threads, _calls(now, role, i), b) for i, threads, b in tried]
    same = replace(now, threads=str(automatic(now.instances, cores)))
    if now.threads == "auto" and same in found:
        found.remove(same)
    return list(dict.fromkeys([now, *found]))


def automatic(instances: int, cores: int) -> int:
    """Return the threads of an instance that `auto` means."""
    return max(1, min(AUTO_MOST, cores // max(1, instances)))


def _calls(now: Settings, role: Role, instances: int) -> int:
    """Return how many calls to have under way: one waits at each instance that computes one."""
    if role == "classifier":
        return now.in_flight
    return min(MOST_CALLS, max(now.in_flight, 2 * instances))


def choose(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial to recommend, or None if none is usable.

    It is the fastest of those with a single request's delay of at most `DELAY` times the best;
    the present settings, which are the first, unless that one is better by `GAIN` and in every
    round.
    """
    prompt = [trial for trial in trials if trial.usable and not late(trial, trials)]
    if not prompt:
        return None
    fastest = max(prompt, key=lambda trial: trial.per_s)
    now = trials[0]
    if now in prompt:
        gains = fastest.gains(now)
        if min(gains) <= 1 or statistics.median(gains) < GAIN:
            return now
    return fastest


def late(trial: Trial, trials: Sequence[Trial]) -> bool:
    """Return whether a single request takes more than `DELAY` times as long as with the best."""
    return trial.delay_ms > DELAY * min(each.delay_ms for each in trials if each.usable)


def unsteadiness(trials: Sequence[Trial]) -> float:
    """Return how many times as fast the same settings were in one round as in another, at most."""
    spreads = [trial.spread for trial in trials if trial.usable]
    return max((high / low for low, high in spreads), default=1.0)


def changed(config: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return a configuration in JSON form with other instances and threads.

    Raises:
        ValueError: It has several groups of instances; the text continues "it ...".
    """
    new = copy.deepcopy(dict(config))
    groups = new.setdefault("instance_group", [{}])
    if len(groups) > 1:
        raise ValueError("has several groups of instances")
    groups[0]["count"] = settings.instances
    if settings.threads is not None:
        new.setdefault("parameters", {})["threads"] = {"string_value": settings.threads}
    return new


def edited(text: str, settings: Settings) -> str:
    """Return the text of a config.pbtxt with other instances and threads, all else untouched.

    Whoever uses it compares what both texts mean: a comment can look like a setting.

    Raises:
        ValueError: The place cannot be found; the text continues "it ...".
    """
    text = text if text.endswith("\n") else text + "\n"
    count = f"count: {settings.instances}"
    if group := _GROUP.search(text):
        text = text[: group.start()] + _with_count(group[0], count) + text[group.end() :]
    else:
        text += f"instance_group [ {{ {count} }} ]\n"
    if settings.threads is None:
        return text
    text, found = _THREADS.subn(rf"\g<1>{settings.threads}\g<2>", text)
    if not found and '"threads"' in text:
        raise ValueError('has "threads" in a place of its own')
    if not found:
        text += f'parameters {{ key: "threads" value: {{ string_value: "{settings.threads}" }} }}\n'
    return text


def _with_count(group: str, count: str) -> str:
    group, found = _COUNT.subn(count, group)
    return group if found else group.replace("{", f"{{ {count}", 1)
