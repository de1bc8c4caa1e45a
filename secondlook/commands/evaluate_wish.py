"""The stack that an evaluation wishes for: the user's thresholds, and nothing of what he keeps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from secondlook.config_file import load
from secondlook.evaluation.record import Mode
from secondlook.local.stack import Wish

MOST_WAITING = 100_000
"""Crops may wait for a verdict as long as it takes."""


def wish_of(
    mode: Mode,
    cameras: Sequence[str],
    parallel: int,
    folder: Path,
    *,
    config_path: Path | None,
    overrides: tuple[str, ...],
    models: Path | None,
    triton: str | None,
    min_score: float | None,
) -> tuple[Wish, float | None]:
    """Return what to start: the user's thresholds and our cameras, in folders of our own.

    Also returns `detector.min_score` as it would be without an evaluation's own.

    Args:
        mode: How it is played.
        cameras: Their names.
        parallel: How many play at the same time.
        folder: Of the run.
        config_path: The user's configuration.
        overrides: `key=value` each.
        models: A model repository.
        triton: Address of a Triton that runs already.
        min_score: The detector's threshold while playing.

    Raises:
        ConfigError: The configuration is not valid.
    """
    given = _taken_from(config_path, overrides) if config_path else {}
    known = {name: {"source": "synthetic:", "fps": 10} for name in cameras}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**given, "cameras": known}), encoding="utf-8")
    normal = load(path, overrides)
    # More cameras than one usually has may not wait for each other.
    in_flight = max(normal.detector.in_flight, parallel)
    ours = [f"classifier.max_waiting={MOST_WAITING}", f"detector.in_flight={in_flight}"]
    if mode != "realtime":
        # A frame is late only where the machine is slow, and then it is to be seen all the same.
        ours += ["detector.seen_every_s=0", "detector.max_age_ms=60000", "classifier.hold_s=1800"]
    if min_score is not None:
        ours.append(f"detector.min_score={min_score}")
    if triton is not None:
        ours.append(f"triton.url={triton}")
    every = (*overrides, *ours)
    wish = Wish(
        config_path=path,
        config=load(path, every),
        overrides=every,
        models=models,
        own_triton=triton is None,
    )
    return wish, normal.detector.min_score


def _taken_from(path: Path, overrides: tuple[str, ...]) -> dict[str, Any]:
    config = load(path, overrides)
    taken = config.model_dump(
        mode="json",
        include={"alerts", "detector", "classifier", "triton"},
        # Evaluations must not touch what a running stack keeps.
        exclude={"detector": {"spool"}, "classifier": {"database"}},
        exclude_unset=True,
    )
    return {section: keys for section, keys in taken.items() if keys}
