"""Proves that a fused model says what the original says, on real pictures. Writes nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from classifier_svc import preprocess
from detector_svc import letterbox
from detector_svc.yolo import Head, nms
from secondlook.model_spec import ModelParameters, ModelSpec, Tensor
from training.agreement import SCORE, Agreement
from training.model_files import Form
from training.raw_models import ExportError, first_line
from training.recognise import Export
from training.trial_pictures import Image, cutouts

Inputs = NDArray[Any]
"""[n, ...] FP32 or UINT8, as the model takes them."""
Tell = Callable[[], None]
"""Is called once for each picture."""
_SAME = 1e-4
BATCH = 3
"""Pictures that are tried at once."""


@dataclass(slots=True)
class Proof:
    """What came of the comparison."""

    agreement: Agreement = field(default_factory=Agreement)
    some: list[Inputs] = field(default_factory=list)
    """A few of the original's inputs, one picture each."""
    found: list[int] = field(default_factory=list)
    """A detector's finds in each picture, at its operating point and after NMS."""
    best: dict[str, int] = field(default_factory=dict)
    """How often each label is a classifier's best."""
    varies: bool = False
    """Whether different pictures get different answers at all."""


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Return the model, ready to run on the CPU.

    Raises:
        ExportError: onnxruntime does not take it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exceptions share no class but this one
        raise ExportError(f"onnxruntime cannot run the model: {first_line(error)}") from error


def ask(running: onnxruntime.InferenceSession, pictures: Inputs) -> dict[str, NDArray[np.float32]]:
    """Return a model's outputs by name."""
    names = [output.name for output in running.get_outputs()]
    given = {running.get_inputs()[0].name: pictures}
    return dict(zip(names, running.run(names, given), strict=True))


def raw_spec(export: Export, parameters: ModelParameters) -> ModelSpec:
    """Return the export as the services would see it, served as it is."""
    height, width, nchw = export.picture
    shape = (3, height, width) if nchw else (height, width, 3)
    outputs = (Tensor(export.output, "FP32", export.shape),)
    layout = ModelParameters(layout="nchw" if nchw else "nhwc")
    said = parameters.overridden_by(layout)
    return ModelSpec("raw", "1", Tensor(export.input, "FP32", shape), outputs, 1, said)


def fused_spec(form: Form) -> ModelSpec:
    """Return the fused model as the services see it."""
    return ModelSpec("fused", "1", form.input, form.outputs, form.max_batch, form.parameters)


@dataclass(frozen=True, slots=True)
class Variant:
    """One form of a model, and how the services would feed and read it."""

    model: onnx.ModelProto
    spec: ModelSpec


def prove_detector(
    original: Variant, fused: Variant, pictures: Sequence[Image], tell: Tell
) -> Proof:
    """Compare all candidates that count, picture by picture.

    Raises:
        ExportError: The original's answers are no boxes and scores.
    """
    proof = Proof()
    first, second = session(original.model), session(fused.model)
    for picture in pictures:
        pixels = _fitted(original.spec, picture), _fitted(fused.spec, picture)
        before = Head.of(original.spec).decode(ask(first, pixels[0]), min_score=0.0)
        after = Head.of(fused.spec).decode(ask(second, pixels[1]), min_score=0.0)
        if before.invalid:
            raise ExportError(
                f"{before.invalid} of its candidates are no boxes with scores from 0 to 1: "
                "export with the boxes decoded, and check --value-range"
            )
        proof.agreement.add_boxes(before.detections, after.detections)
        counted = after.detections[
            after.detections.scores >= (fused.spec.parameters.min_score or 0)
        ]
        proof.found.append(len(nms(counted, 0.45, 100)))
        proof.some = [*proof.some, pixels[0]][:BATCH]
        tell()
    proof.varies = any(proof.found)
    return proof


def _fitted(spec: ModelSpec, picture: Image) -> Inputs:
    """Return a batch of one, prepared as the detector's service does it."""
    form = letterbox.InputForm.of(spec)
    out: Inputs = np.empty((1, *form.shape), form.dtype)
    letterbox.fit(picture, form, out[0])
    return out


def prove_classifier(
    original: Variant, fused: Variant, pictures: Sequence[Image], tell: Tell
) -> Proof:
    """Compare the scores of pieces of the pictures.

    Raises:
        ExportError: The original's answers are no scores.
    """
    proof = Proof()
    first, second = session(original.model), session(fused.model)
    labels = fused.spec.parameters.labels or ()
    answers = []
    for piece in cutouts(list(pictures)):
        pixels = prepared(original.spec, piece), prepared(fused.spec, piece)
        before = _scores(ask(first, pixels[0])[original.spec.outputs[0].name], original.spec)
        after = _scores(ask(second, pixels[1])["scores"], fused.spec)
        proof.agreement.add_scores(before, after)
        best = labels[int(after.argmax())]
        proof.best[best] = proof.best.get(best, 0) + 1
        proof.some = [*proof.some, pixels[0]][:BATCH]
        answers.append(after)
        tell()
    proof.varies = float(np.ptp(np.stack(answers), axis=0).max()) > SCORE
    return proof


def prepared(spec: ModelSpec, piece: Image) -> Inputs:
    """Return a batch of one, prepared as the classifier's service does it."""
    out: Inputs = np.empty((1, *spec.input.shape), spec.input.dtype)
    preprocess.fit(piece, spec, out[0])
    return out


def _scores(values: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float64]:
    (row,) = preprocess.decode(values, spec)
    if row is None:
        raise ExportError(
            "its output holds values that are no scores: check --value-range, --mean and --std, "
            "and say --output logits if the model ends without softmax"
        )
    return np.array(list(row.values()), np.float64)


def is_logits(original: Variant, pictures: Sequence[Image]) -> bool:
    """Tell whether a classifier answers logits: values that are not all from 0 to 1."""
    running, name = session(original.model), original.spec.outputs[0].name
    rows = [ask(running, prepared(original.spec, p))[name] for p in cutouts(list(pictures))]
    values = np.concatenate(rows)
    return not (values.min() >= -_SAME and values.max() <= 1 + _SAME)


def takes_batches(model: onnx.ModelProto, inputs: Sequence[Inputs]) -> bool:
    """Try whether a model answers several pictures at once as it answers each alone."""
    running = session(model)
    alone = [ask(running, one) for one in inputs]
    try:
        together = ask(running, np.concatenate(inputs))
    except Exception:  # noqa: BLE001 - onnxruntime's exceptions share no class but this one
        return False
    return all(
        len(together[name]) == len(inputs) and _close(together[name][number], answer[name][0])
        for number, answer in enumerate(alone)
        for name in answer
    )


def _close(one: NDArray[Any], other: NDArray[Any]) -> bool:
    furthest = max(1e-6, float(np.abs(one).max()))
    return one.shape == other.shape and bool(np.abs(one - other).max() <= _SAME * furthest)
