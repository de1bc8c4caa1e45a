"""What only TensorFlow can do with a model, in a process of its own: it takes seconds to load.

`python -m training.tensorflow_models save MODEL.keras FOLDER` writes a SavedModel of a Keras file;
`... answer FOLDER IN.npy OUT.npy` asks a SavedModel itself what it says of float32 pictures.
"""

import sys
from pathlib import Path

import numpy as np


def save(source: Path, target: Path) -> None:
    """Write the SavedModel of a .keras or .h5 file."""
    from keras import saving  # noqa: PLC0415 - the other half needs no Keras

    saving.load_model(source, compile=False).export(target, verbose=False)


def answer(model: Path, pictures: Path, answers: Path) -> None:
    """Write the first output of a SavedModel for pictures, one call for all."""
    import tensorflow as tf  # noqa: PLC0415 - Keras need not run on it

    loaded = tf.saved_model.load(str(model))
    serve = loaded.signatures["serving_default"]
    (given,) = serve.structured_input_signature[1]
    values = serve(**{given: tf.constant(np.load(pictures))})
    np.save(answers, next(iter(values.values())).numpy())


def main(arguments: list[str]) -> None:
    """Do what the first argument names."""
    work, *paths = arguments
    if work == "save":
        source, target = map(Path, paths)
        save(source, target)
    else:
        model, pictures, answers = map(Path, paths)
        answer(model, pictures, answers)


if __name__ == "__main__":
    main(sys.argv[1:])
