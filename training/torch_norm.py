"""BatchNorm on torch as one kernel. Keras's own passes over the pictures half a dozen times.

On Keras's other backends nothing changes: their compilers do the same by themselves.
"""

from functools import partial
from typing import Any

from training.network import Model, Module

Tensor = Any


def fuse_norms(keras: Module, model: Model) -> int:
    """Let the model's BatchNorm layers use torch's kernel, on torch; return how many do.

    The weights, their order and what the layers answer stay the same. The running variance is
    torch's, by n - 1 instead of n values: with thousands of pixels that is the same.
    """
    if keras.backend.backend() != "torch":
        return 0
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.axis in (-1, 3)
    ]
    for layer in norms:
        layer.call = partial(_norm, layer)
    return len(norms)


def _norm(
    layer: Model,
    inputs: Tensor,
    training: bool | None = None,
    mask: Tensor = None,  # noqa: ARG001 - as Keras calls it
) -> Tensor:
    import torch  # noqa: PLC0415 - only where Keras runs on it

    # Not `.value`: with mixed arithmetic that is a copy in bfloat16, and the kernel wants float32.
    mean, variance, gamma, beta = (
        each._value  # noqa: SLF001
        for each in (layer.moving_mean, layer.moving_variance, layer.gamma, layer.beta)
    )
    learning = bool(training) and layer.trainable
    normed = torch.nn.functional.batch_norm(
        inputs.permute(0, 3, 1, 2), mean, variance, gamma, beta, learning,
        1 - layer.momentum, layer.epsilon,
    )  # fmt: skip
    return normed.permute(0, 2, 3, 1)
