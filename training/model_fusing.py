"""Fuses a recognised export and proves the result, as one picture or as a batch. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from rich.progress import Progress

from secondlook.model_spec import ModelParameters
from training.agreement import BOX_PX, SCORE, Agreement
from training.batches import for_any_batch, is_for_one
from training.export import fuse_classifier, fuse_detector
from training.graphs import TOP
from training.model_files import Form, fused_form
from training.proving import (
    Proof,
    Variant,
    ask,
    fused_spec,
    is_logits,
    prepared,
    prove_classifier,
    prove_detector,
    raw_spec,
    session,
    takes_batches,
)
from training.raw_models import ExportError
from training.recognise import Export
from training.sources import Source
from training.trial_pictures import Image, cutouts


@dataclass(frozen=True, slots=True)
class Fused:
    """A fused model, what it was made of, and the proof that both say the same."""

    model: onnx.ModelProto
    form: Form
    original: Variant
    proof: Proof
    batches: bool
    """Whether it answers several pictures as it answers each alone."""


def fuse_and_prove(
    model: onnx.ModelProto,
    export: Export,
    parameters: ModelParameters,
    shown: Sequence[Image],
    progress: Progress,
) -> Fused:
    """Fuse an export and compare it with the original.

    An export for one picture is first tried with its batch set free.

    Raises:
        ExportError: It cannot be fused, or says something else then.
    """
    if export.kind == "classifier" and parameters.output is None:
        assumed = parameters.model_copy(update={"output": "logits"})
        logits = is_logits(Variant(model, raw_spec(export, assumed)), shown)
        output = "logits" if logits else "probabilities"
        parameters = parameters.model_copy(update={"output": output})
    original = Variant(model, raw_spec(export, parameters))
    if is_for_one(model):
        try:
            freed = _attempt(for_any_batch(model), original, export, shown, progress)
        except ExportError:
            pass  # its batch cannot be set free: one picture at a time is fine, too
        else:
            if freed.proof.agreement.good and freed.batches:
                return freed
    fused = _attempt(model, original, export, shown, progress)
    agreement = fused.proof.agreement
    if not agreement.good:
        raise ExportError(
            f"the fused model does not say what the original says ({agreement}; allowed are "
            f"{BOX_PX} px and {SCORE}): nothing was written. Check --value-range, --channels, "
            "--mean and --std; if they are right, please report this model"
        )
    return fused


def _attempt(
    model: onnx.ModelProto,
    original: Variant,
    export: Export,
    shown: Sequence[Image],
    progress: Progress,
) -> Fused:
    height, width, _ = export.picture
    given = original.spec.parameters
    detects = export.kind == "detector"
    if export.form == "scores":
        fused = fuse_classifier(model, given, export.output)
    else:
        fused = fuse_detector(model, export.form, given, export.output)
    top = min(TOP, max(export.shape))
    form = fused_form(export.kind, height, width, given, top=top, batches=True)
    variant = Variant(fused, fused_spec(form))
    task = progress.add_task("comparing with the original", total=len(shown) * (2 - detects))
    prove = prove_detector if detects else prove_classifier
    try:
        proof = prove(original, variant, shown, lambda: progress.advance(task))
    finally:
        progress.remove_task(task)
    # The raw part alone: among the best candidates, equal ones may change places.
    batches = len(proof.some) > 1 and takes_batches(model, proof.some)
    if not batches:
        form = fused_form(export.kind, height, width, given, top=top, batches=False)
    return Fused(fused, form, original, proof, batches)


def prove_saved_model(
    source: Source, original: Variant, shown: Sequence[Image], folder: Path
) -> Agreement | None:
    """Compare a SavedModel with the ONNX form that was made of it; None where there is none.

    Raises:
        ExportError: They disagree.
    """
    if source.saved_model is None:
        return None
    pixels = np.concatenate([prepared(original.spec, piece) for piece in cutouts(list(shown))])
    running, name = session(original.model), original.spec.outputs[0].name
    converted = [ask(running, row[None])[name][0] for row in pixels]
    agreement = Agreement()
    for ours, theirs in zip(converted, source.saved_answers(pixels, folder), strict=True):
        agreement.add_scores(ours, theirs)
    if not agreement.good:
        raise ExportError(
            f"the ONNX form of {source.path.name} does not say what the SavedModel says "
            f"({agreement}): give an ONNX file that you exported and checked yourself"
        )
    return agreement
