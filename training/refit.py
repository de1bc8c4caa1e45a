"""Fits the classifier's last block anew, with photographs and vehicles among what is `empty`.

The scenes are drawn; a real street is not. Everything below the last block stays as it is and
is computed once, so this takes minutes on a processor. BatchNorm keeps its statistics.

`python -m training.refit --crops runs/cards/crops/train --photographs folder --out runs/classifier`

Before it writes, it prints what the old and the new weights make of crops that neither fit saw.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from training import runs
from training.calibration import Floats, Indices, report, softmax, temperature
from training.cards.cutting import CLASSES
from training.cards.photographs import photographs as of_side
from training.crops import read
from training.negatives import VEHICLES, negatives
from training.network import SIDE, WEIGHTS, Model, Module, build, restore, save

EMPTY = CLASSES.index("empty")
EPOCHS, BATCH, RATE, DECAY = 5, 64, 3e-4, 1e-3
BODY_ENDS = "block6d_add"
"""The last layer of EfficientNet-B0 that stays as it is."""
HELD_OUT = 0.25


def tail_of(keras: Module, model: Model) -> Model:
    """Return the part of the classifier above `BODY_ENDS`; it shares the model's weights."""
    tail = keras.Model(model.get_layer(BODY_ENDS).output, model.output)
    for layer in tail.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    return tail


def refit(keras: Module, tail: Model, features: Floats, truth: Indices) -> None:
    """Train the tail on what the body made of the crops, (n, 7, 7, 192), and their labels."""
    tail.compile(
        optimizer=keras.optimizers.AdamW(RATE, weight_decay=DECAY),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    tail.fit(features, truth, batch_size=BATCH, epochs=EPOCHS, verbose=2)


def features_of(model: Model, images: npt.NDArray[np.uint8]) -> Floats:
    """Return what the body makes of RGB images: (n, 7, 7, 192)."""
    found = [
        np.asarray(model.predict_on_batch(images[at : at + 64].astype(np.float32)), np.float32)
        for at in range(0, len(images), 64)
    ]
    return np.concatenate(found)


_EXISTING = click.Path(exists=True, path_type=Path)


@click.command()
@click.option("--crops", type=_EXISTING, required=True, help="Class folders.")
@click.option(
    "--photographs",
    type=_EXISTING,
    required=True,
    help="JPEG files without cards; those that train.",
)
@click.option("--out", type=_EXISTING, default=Path("runs/classifier"), show_default=True)
@click.option("--count", default=4000, show_default=True, help="Crops of photographs.")
@click.option("--vehicles", default=VEHICLES, show_default=True, help="Their part of those crops.")
@click.option("--seed", default=5, show_default=True)
def main(
    *, crops: Path, photographs: Path, out: Path, count: int, vehicles: float, seed: int
) -> None:
    """Fit the last block anew and write the weights and the calibration."""
    import keras  # noqa: PLC0415 - takes seconds

    random = np.random.default_rng(seed)
    pieces = itertools.islice(negatives(random, of_side(photographs, "train"), vehicles), count)
    photographed = np.array([piece[..., ::-1] for piece in pieces])
    read_crops = read(crops, CLASSES, SIDE)
    drawn, labels = read_crops.images, read_crops.truth
    model = build(keras, len(CLASSES))
    restore(model, out / WEIGHTS)
    body = keras.Model(model.input, model.get_layer(BODY_ENDS).output)
    click.echo(f"features of {len(drawn)} drawn crops and {count} of photographs")
    features = np.concatenate([features_of(body, drawn), features_of(body, photographed)])
    truth = np.concatenate([labels, np.full(count, EMPTY)])
    held = random.random(len(truth)) < HELD_OUT
    tail = tail_of(keras, model)
    _judge("old", tail, features[held], truth[held])
    refit(keras, tail, features[~held], truth[~held])
    result = _judge("new", tail, features[held], truth[held])
    save(model, out)
    runs.write(out, runs.METRICS, result)


def _judge(name: str, tail: Model, features: Floats, truth: Indices) -> dict[str, Any]:
    logits = np.asarray(tail.predict(features, batch_size=BATCH, verbose=0), np.float32)
    divisor = temperature(logits, truth)
    result = {
        "temperature": divisor,
        **report(softmax(logits / divisor), truth, CLASSES, CLASSES[:2]),
    }
    click.echo(f"{name} weights, crops that they were not fitted on: {json.dumps(result)}")
    return result


if __name__ == "__main__":
    main()
