"""Trains the classifier in stages, within a time or a number of epochs, and keeps the best."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.calibration import Floats, loss
from training.crops import Crops, batches
from training.network import WEIGHTS, Model, Module, Phase, restore, save, set_phase

_WARM = 0.05
"""The part of a stage over which the learning rate rises."""
_TUNING_CROPS = 1500
"""So many judging crops at most are looked at after each stretch."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the training in which one set of layers trains."""

    phase: Phase
    rate: float
    """The highest learning rate."""
    part: float
    """Of the whole training."""


FROM_NOTHING: tuple[Stage, ...] = (Stage("all", 2e-3, 1.0),)
FROM_IMAGENET: tuple[Stage, ...] = (Stage("head", 1e-3, 0.25), Stage("blocks", 3e-4, 0.75))


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to train, and how."""

    stages: tuple[Stage, ...]
    seconds: float | None
    """Of all stages together, or None: as long as the epochs take."""
    epochs: float | None
    """Passes over the training crops in all stages together, or None: as many as time allows."""
    size: int
    """Crops of a batch."""
    stretch: int
    """Batches between two looks at the judging crops, at most."""
    patience: int
    """Stretches without a better judgement that end a stage; 0: none does."""
    seed: int
    processes: int = 0
    """So many make batches ahead; 0: threads do, which is enough without a GPU."""


def rate_at(part: float, highest: float) -> float:
    """Return the learning rate at a part (0..1) of a stage: a short rise, then half a cosine."""
    risen = min((part + _WARM / 20) / _WARM, 1.0)
    return max(highest * risen * 0.5 * (1 + math.cos(math.pi * min(part, 1.0))), 1e-6)


@dataclass
class Clock:
    """How much of a stage is over, by time or by batches, whichever is first. Told the time."""

    began: float
    """Seconds, as `now`."""
    seconds: float | None
    batches: int | None
    done: int = 0

    def part(self, now: float) -> float:
        """Return the part of the stage that is over, 0..1."""
        by_time = (now - self.began) / max(self.seconds, 1e-3) if self.seconds is not None else 0.0
        by_count = self.done / self.batches if self.batches is not None else 0.0
        return min(max(by_time, by_count), 1.0)


@dataclass
class Best:
    """The best judgement so far and how long ago it was."""

    loss: float = math.inf
    since: int = 0
    """Stretches."""

    def better(self, value: float) -> bool:
        """Take note of a judgement; return whether it is the best."""
        if value < self.loss:
            self.loss, self.since = value, 0
            return True
        self.since += 1
        return False


@dataclass
class Fit:
    """One training."""

    keras: Module
    model: Model
    plan: Plan
    out: Path
    """Gets the best weights, each time there are better ones."""
    shown: Callable[[float], None]
    """Is told the part of the whole that is over."""
    said: Callable[[str], None]
    """Is told a line after each stretch."""
    started: bool = False
    """Whether the model has weights of an earlier training: only better ones replace them."""
    history: list[dict[str, Any]] = field(default_factory=list)
    best: Best = field(default_factory=Best)

    def run(self, train: Crops, judge: Crops) -> None:
        """Train through all stages; the model and the file have the best weights afterwards.

        What is written when it is interrupted are the best weights up to then.
        """
        began, looked_at = time.monotonic(), judge.at_most(_TUNING_CROPS)
        passed = 0.0
        if self.started:
            self.best.better(loss(predict(self.model, looked_at), looked_at.truth))
            save(self.model, self.out)
            self.said(f"the weights to start from, judged: loss {self.best.loss:.3f}")
        try:
            for stage in self.plan.stages:
                passed += stage.part
                self._run_stage(stage, train, looked_at, began, passed)
                restore(self.model, self.out / WEIGHTS)
        finally:
            if math.isinf(self.best.loss):
                save(self.model, self.out)

    def _run_stage(
        self, stage: Stage, train: Crops, judge: Crops, began: float, until: float
    ) -> None:
        plan, keras = self.plan, self.keras
        names = set_phase(keras, self.model, stage.phase)
        self.said(f"phase {stage.phase}: {len(names)} layers train, {names[0]} to {names[-1]}")
        self.model.compile(
            optimizer=keras.optimizers.AdamW(stage.rate, weight_decay=1e-4, clipnorm=1.0),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        now = time.monotonic()
        seconds = None if plan.seconds is None else max(began + plan.seconds * until - now, 0.0)
        size = min(plan.size, len(train))
        a_pass = math.ceil(len(train) / size)
        steps = None if plan.epochs is None else max(round(plan.epochs * stage.part * a_pass), 1)
        stretch = min(plan.stretch, a_pass, steps or plan.stretch)
        clock = Clock(now, seconds, steps)
        before = until - stage.part
        self.best.since = 0
        self.model.fit(
            batches(train, size, seed=plan.seed, processes=plan.processes),
            steps_per_epoch=stretch,
            epochs=10**6,
            shuffle=False,
            callbacks=[self._callback(stage, clock, judge, before)],
            verbose=0,
        )

    def _callback(self, stage: Stage, clock: Clock, judge: Crops, before: float) -> Any:  # noqa: ANN401 - Keras's
        fit = self

        class Watch(self.keras.callbacks.Callback):  # type: ignore[misc, name-defined] # chosen at run time
            def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ANN401, ARG002
                part = clock.part(time.monotonic())
                self.model.optimizer.learning_rate = rate_at(part, stage.rate)

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ANN401, ARG002
                clock.done += 1
                part = clock.part(time.monotonic())
                fit.shown(before + part * stage.part)
                self.model.stop_training = part >= 1.0

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ANN401, ARG002
                fit.judge(stage, clock, judge, logs or {})
                self.model.stop_training |= 0 < fit.plan.patience <= fit.best.since

        return Watch()

    def judge(self, stage: Stage, clock: Clock, judge: Crops, logs: dict[str, float]) -> None:
        """Look at the judging crops, and keep the weights if they were never better."""
        logits = predict(self.model, judge)
        value = loss(logits, judge.truth)
        accuracy = float((logits.argmax(axis=1) == judge.truth).mean())
        kept = self.best.better(value)
        if kept:
            save(self.model, self.out)
        seconds = time.monotonic() - clock.began
        row = {
            "phase": stage.phase,
            "batches": clock.done,
            "seconds": round(seconds, 1),
            **{name: round(float(number), 5) for name, number in logs.items()},
            "judge_loss": round(value, 5),
            "judge_accuracy": round(accuracy, 5),
            "kept": kept,
        }
        self.history.append(row)
        self.said(
            f"{stage.phase} {seconds:4.0f} s, batch {clock.done}: loss {row.get('loss', 0):.3f}, "
            f"judged: loss {value:.3f}, {accuracy:.1%} right{', kept' if kept else ''}"
        )


def predict(model: Model, crops: Crops) -> Floats:
    """Return the model's logits, (n, labels)."""
    answers = [
        np.asarray(model.predict_on_batch(crops.images[at : at + 64]), np.float32)
        for at in range(0, len(crops), 64)
    ]
    return np.concatenate(answers)
