"""The classifier: EfficientNet-B0 in Keras, which of its layers train, and its weights in a file.

Keras is handed in, since it is chosen (`KERAS_BACKEND`) and imported at run time.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from secondlook.model_spec import ModelParameters, ModelSpec, Tensor

Module = Any
"""Keras itself; it carries no types."""
Model = Any
"""A Keras model."""
Phase = Literal["all", "head", "blocks"]
"""What trains: every layer with BatchNorm; the last layer alone; the last blocks and the last
layer, BatchNorm frozen."""

WEIGHTS = "weights.npz"
SIDE = 224
HEAD = "predictions"
"""The name of the last layer."""
LAST_BLOCKS = ("block6", "block7", "top_")
"""How the names of the last blocks' layers begin."""


def spec(labels: tuple[str, ...], side: int = SIDE) -> ModelSpec:
    """Return the classifier as it will be served, for the preprocessing that both share."""
    return ModelSpec(
        name="classifier",
        version="1",
        input=Tensor("images", "UINT8", (side, side, 3)),
        outputs=(Tensor("scores", "FP32", (len(labels),)),),
        max_batch_size=16,
        parameters=ModelParameters(
            labels=labels,
            output="probabilities",
            channels="rgb",
            value_range="0..255",
            resize="stretch",
            interpolation="linear",
            layout="nhwc",
        ),
    )


def build(keras: Module, labels: int, *, side: int = SIDE) -> Model:
    """Return EfficientNet-B0 that takes RGB 0..255 NHWC and answers logits.

    Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for CNNs".
    """
    return keras.applications.EfficientNetB0(
        weights=None, classes=labels, input_shape=(side, side, 3), classifier_activation=None
    )


def trains(name: str, phase: Phase, *, batch_norm: bool) -> bool:
    """Return whether a layer trains in a phase.

    BatchNorm that is frozen keeps its statistics too: with the few and alike pictures of a small
    set they would drift away from what the layers around it were trained with.

    Args:
        name: The layer's.
        phase: See `Phase`.
        batch_norm: Whether the layer is a BatchNormalization.
    """
    if phase == "all" or name == HEAD:
        return True
    return phase == "blocks" and name.startswith(LAST_BLOCKS) and not batch_norm


def set_phase(keras: Module, model: Model, phase: Phase) -> list[str]:
    """Let the layers of a phase train and freeze the others; return the names of those that train.

    The model must be compiled anew afterwards. Layers without weights to train are not named.
    """
    for layer in model.layers:
        norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = trains(layer.name, phase, batch_norm=norm)
    return [layer.name for layer in model.layers if layer.trainable_weights]


def save(model: Model, folder: Path) -> None:
    """Write the weights in `get_weights` order, as float32; a stop in between leaves the older."""
    values: dict[str, Any] = {
        f"{i:04d}": np.asarray(w, np.float32) for i, w in enumerate(model.get_weights())
    }
    part = folder / "part.npz"
    np.savez(part, **values)
    part.replace(folder / WEIGHTS)


def restore(model: Model, path: Path) -> None:
    """Set the weights that `save` wrote.

    Raises:
        ValueError: They belong to a model with other layers or another number of labels.
    """
    with np.load(path) as values:
        model.set_weights([values[name] for name in sorted(values.files)])
    settle(model)


def settle(model: Model) -> None:
    """Let the input's normalization use the weights that were set; it keeps a copy of them."""
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
