"""Which layers train, and whose weights they start from, with Keras itself."""

import os
from pathlib import Path

import numpy as np
import pytest

from training import imagenet
from training.network import build, restore, save, set_phase

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
keras = pytest.importorskip("keras", reason="the extra `training` is not installed")
# Keras 3.15 hands TensorFlow's variables to numpy 2 in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDE, LABELS = 32, 3


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return build(keras, LABELS, side=SIDE)


@pytest.fixture(scope="module")
def untrained(model):
    return model.get_weights()


def weighted(model) -> list[str]:
    return [layer.name for layer in model.layers if layer.weights]


def norms(model) -> set[str]:
    kind = keras.layers.BatchNormalization
    return {layer.name for layer in model.layers if isinstance(layer, kind)}


def test_from_scratch_every_layer_trains_and_batch_norm_too(model) -> None:
    found = set_phase(keras, model, "all")
    assert found == [name for name in weighted(model) if name != "normalization"]
    assert norms(model) <= set(found)


def test_of_a_pretrained_model_the_head_trains_first_and_alone(model) -> None:
    assert set_phase(keras, model, "head") == ["predictions"]


def test_then_the_last_blocks_train_without_their_batch_norm(model) -> None:
    found = set_phase(keras, model, "blocks")
    assert found == [
        "block6a_expand_conv", "block6a_dwconv", "block6a_se_reduce", "block6a_se_expand",
        "block6a_project_conv", "block6b_expand_conv", "block6b_dwconv", "block6b_se_reduce",
        "block6b_se_expand", "block6b_project_conv", "block6c_expand_conv", "block6c_dwconv",
        "block6c_se_reduce", "block6c_se_expand", "block6c_project_conv", "block6d_expand_conv",
        "block6d_dwconv", "block6d_se_reduce", "block6d_se_expand", "block6d_project_conv",
        "block7a_expand_conv", "block7a_dwconv", "block7a_se_reduce", "block7a_se_expand",
        "block7a_project_conv", "top_conv", "predictions",
    ]  # fmt: skip
    assert norms(model) & set(found) == set()


def changed_layers(model, phase, untrained) -> set[str]:
    """Return the layers whose weights one step in a phase really changes."""
    model.set_weights(untrained)
    set_phase(keras, model, phase)
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    before = {layer.name: layer.get_weights() for layer in model.layers}
    images = np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE, 3), np.uint8)
    model.train_on_batch(images, np.array([0, 1, 2, 0, 1, 2]))
    return {
        layer.name
        for layer in model.layers
        for old, new in zip(before[layer.name], layer.get_weights(), strict=True)
        if not np.array_equal(old, new)
    }


@pytest.mark.parametrize("phase", ["all", "head", "blocks"])
def test_a_step_changes_the_layers_that_train_and_no_others(model, untrained, phase) -> None:
    assert changed_layers(model, phase, untrained) == set(set_phase(keras, model, phase))


def test_weights_keep_their_order_whatever_trains(model, untrained, tmp_path: Path) -> None:
    model.set_weights(untrained)
    set_phase(keras, model, "head")
    save(model, tmp_path)
    other = build(keras, LABELS, side=SIDE)
    restore(other, tmp_path / "weights.npz")
    for mine, theirs in zip(untrained, other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_weights_for_other_labels_are_refused(model, tmp_path: Path) -> None:
    save(model, tmp_path)
    with pytest.raises(ValueError, match="shape"):
        restore(build(keras, LABELS + 1, side=SIDE), tmp_path / "weights.npz")


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """Return a file as Keras publishes ImageNet's weights: EfficientNet-B0 without its head."""
    source = keras.applications.EfficientNetB0(
        weights=None, include_top=False, input_shape=(SIDE, SIDE, 3)
    )
    for layer in source.layers:
        if isinstance(layer, keras.layers.Normalization):
            mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
            layer.set_weights([mean, deviation**2, *layer.get_weights()[2:]])
    path = tmp_path_factory.mktemp("published") / "efficientnetb0_notop.weights.h5"
    source.save_weights(path)
    return Path(path)


def seen(model, images):
    """Return what the first convolution makes of pictures, large enough to compare."""
    body = keras.Model(model.input, model.get_layer("stem_conv").output)
    return np.asarray(body(images, training=False))


def test_pretrained_weights_answer_as_in_keras_own_model(model, published, monkeypatch) -> None:
    # Keras adds a layer for ImageNet's weights; ours has the same effect in one graph for all.
    module = __import__("keras.src.applications.efficientnet", fromlist=["file_utils"])
    monkeypatch.setattr(module.file_utils, "get_file", lambda *_, **__: str(published))
    theirs = keras.applications.EfficientNetB0(
        weights="imagenet", include_top=False, input_shape=(SIDE, SIDE, 3)
    )
    images = np.random.default_rng(0).uniform(0, 255, (4, SIDE, SIDE, 3)).astype(np.float32)
    expected = seen(theirs, images)
    assert np.abs(expected).mean() > 0.1
    for source in ("imagenet", str(published)):
        imagenet.start_from(keras, model, source)
        np.testing.assert_allclose(seen(model, images), expected, rtol=1e-4, atol=1e-4)
        last, published_last = (of.get_layer("top_conv").get_weights()[0] for of in (model, theirs))
        np.testing.assert_array_equal(last, published_last)


def test_without_the_scaling_the_answers_would_differ(model, published, monkeypatch) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (4, SIDE, SIDE, 3)).astype(np.float32)
    imagenet.start_from(keras, model, str(published))
    scaled = seen(model, images)
    monkeypatch.setattr(imagenet, "_fold_scaling", lambda *_: None)
    imagenet.start_from(keras, model, str(published))
    assert np.abs(seen(model, images) - scaled).max() > 0.1


def test_weights_that_cannot_be_downloaded_are_a_sentence(model, monkeypatch) -> None:
    def refused(*_, **__):
        raise OSError("URL fetch failure")

    monkeypatch.setattr(keras.applications, "EfficientNetB0", refused)
    with pytest.raises(imagenet.NoWeights, match=r"URL fetch failure.*--weights FILE.*none"):
        imagenet.start_from(keras, model, "imagenet")


@pytest.mark.parametrize("name", ["missing.h5", "other.h5", "other.keras"])
def test_a_file_without_such_weights_is_a_sentence(model, tmp_path: Path, name: str) -> None:
    if name.startswith("other"):
        (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(imagenet.NoWeights, match=name):
        imagenet.start_from(keras, model, str(tmp_path / name))
