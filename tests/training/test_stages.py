"""A training in stages, with Keras itself: what trains when, when it ends, and what is kept."""

import os
from pathlib import Path

import numpy as np
import pytest

from training.crops import Crops
from training.fitting import FROM_IMAGENET, Fit, Plan
from training.network import WEIGHTS, build, restore, trains

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
keras = pytest.importorskip("keras", reason="the extra `training` is not installed")
# Keras 3.15 hands TensorFlow's variables to numpy 2 in the old way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.timeout(600),
]

SIDE, LABELS, EPOCHS = 32, ("gun", "phone", "empty"), 400


def noise(seed: int) -> Crops:
    """Return crops of which nothing can be learnt."""
    random = np.random.default_rng(seed)
    paths = [Path(f"{LABELS[n % 3]}/r{n}__0.jpg") for n in range(12)]
    images = random.integers(0, 256, (12, SIDE, SIDE, 3), np.uint8)
    return Crops(images, np.arange(12) % 3, paths, LABELS)


def weights(model) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers}


def changed(before, after) -> set[str]:
    return {
        name
        for name in before
        for old, new in zip(before[name], after[name], strict=True)
        if not np.array_equal(old, new)
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a training from given weights: it, what was told, and all weights at its points."""
    keras.utils.set_random_seed(3)
    out = tmp_path_factory.mktemp("run")
    model = build(keras, len(LABELS), side=SIDE)
    plan = Plan(FROM_IMAGENET, None, EPOCHS, size=8, stretch=2, patience=1, seed=1)
    parts: list[float] = []
    points = [weights(model)]

    def said(line: str) -> None:
        if line.startswith("phase"):
            points.append(weights(model))

    fit = Fit(keras, model, plan, out, parts.append, said)
    fit.run(noise(1), noise(2))
    return fit, parts, [*points[1:], weights(model)]


def test_given_weights_keep_all_but_the_head_first_and_their_batch_norm_throughout(trained) -> None:
    fit, _, (start, with_head, end) = trained
    assert list(dict.fromkeys(row["phase"] for row in fit.history)) == ["head", "blocks"]
    assert changed(start, with_head) == {"predictions"}
    norms = {
        layer.name
        for layer in fit.model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    late = {name for name in start if trains(name, "blocks", batch_norm=name in norms)}
    assert changed(with_head, end) <= late


def test_a_phase_ends_early_when_nothing_gets_better(trained) -> None:
    fit, parts, _ = trained
    for phase, stage in zip(("head", "blocks"), FROM_IMAGENET, strict=True):
        rows = [row for row in fit.history if row["phase"] == phase]
        assert not rows[-1]["kept"]
        assert all(row["kept"] for row in rows[:-1])
        assert rows[-1]["batches"] < 2 * EPOCHS * stage.part / 2
    assert 0 < parts[0] < parts[-1] < 1


def test_what_is_kept_are_the_weights_of_the_best_judgement(trained, tmp_path) -> None:
    fit, _, _ = trained
    assert fit.best.loss == pytest.approx(min(r["judge_loss"] for r in fit.history), abs=1e-4)
    other = build(keras, len(LABELS), side=SIDE)
    restore(other, fit.out / WEIGHTS)
    for kept, mine in zip(other.get_weights(), fit.model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, mine)
