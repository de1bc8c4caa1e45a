"""ImageNet weights for the classifier, from Keras's server or from a file."""

from pathlib import Path

from training.network import HEAD, Model, Module, settle

DEVIATIONS = (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, 0..1."""


class NoWeights(Exception):
    """There are no usable ImageNet weights; the message says what to do."""


def start_from(keras: Module, model: Model, source: str) -> None:
    """Set every layer of the model but the last to ImageNet's weights.

    Args:
        keras: The module.
        model: From `network.build`.
        source: `imagenet` (downloads them once), or a .h5 or .keras file that holds them.

    Raises:
        NoWeights: They cannot be had from there.
    """
    side = model.input_shape[1]
    if source == "imagenet":
        pretrained, scaled = _downloaded(keras, side), True
    else:
        pretrained, scaled = _read(keras, Path(source), side)
    layers = [[layer for layer in each.layers if layer.weights and layer.name != HEAD]
              for each in (model, pretrained)]  # fmt: skip
    try:
        for mine, theirs in zip(*layers, strict=True):
            mine.set_weights(theirs.get_weights())
    except ValueError as error:
        raise NoWeights(f"{source} holds another network than EfficientNet-B0: {error}") from error
    if scaled:
        _fold_scaling(keras, model)
    settle(model)


def _fold_scaling(keras: Module, model: Model) -> None:
    """Put into the normalization what Keras does in a layer of its own for ImageNet's weights.

    They were trained on (x - mean) / variance, so Keras divides by the root of the deviation once
    more behind its normalization. One graph for all trainings keeps one form of the weights.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            mean, variance, *rest = layer.get_weights()
            layer.set_weights([mean, variance * DEVIATIONS, *rest])


def _downloaded(keras: Module, side: int) -> Model:
    try:
        return keras.applications.EfficientNetB0(
            weights="imagenet", include_top=False, input_shape=(side, side, 3)
        )
    except Exception as error:
        raise NoWeights(
            f"the ImageNet weights cannot be downloaded ({error}): give a file that holds them "
            "with --weights FILE (efficientnetb0_notop.h5), or train from scratch: --weights none"
        ) from error


def _read(keras: Module, path: Path, side: int) -> tuple[Model, bool]:
    """Return the model in a file, and whether Keras's extra scaling belongs to its weights."""
    if not path.is_file():
        raise NoWeights(
            f"{path} is no file: --weights takes none, imagenet, a .h5 or a .keras file"
        )
    try:
        if path.suffix == ".keras":
            model = keras.models.load_model(path, compile=False)
            scalings = [each for each in model.layers if isinstance(each, keras.layers.Rescaling)]
            return model, len(scalings) > 1
        return _from_h5(keras, path, side), True
    except (OSError, ValueError) as error:
        raise NoWeights(f"{path} cannot be read as weights of EfficientNet-B0: {error}") from error


def _from_h5(keras: Module, path: Path, side: int) -> Model:
    """Return EfficientNet-B0 with the weights of a .h5 file, with its last layer or without."""
    shape = (side, side, 3)
    without = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=shape)
    try:
        without.load_weights(path)
    except ValueError:
        whole = keras.applications.EfficientNetB0(weights=None, input_shape=shape)
        whole.load_weights(path)
        return whole
    return without
