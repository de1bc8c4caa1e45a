"""What an exported model is: detector or classifier, which form, how many labels. No files."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import onnx

from secondlook.model_request import Kind
from training.raw_models import ExportError, Picture, answers, only_input, picture_of

Form = Literal["yolov5", "yolov8", "scores"]
_NMS = ("NonMaxSuppression", "EfficientNMS", "BatchedNMS")
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
_BOXES, _SCORES, _MASKS = 3, 2, 4
_KEPT_BY_NMS = 1000
_NMS_COLUMNS = (6, 7)
_OTHER_TASKS = ("segment", "pose", "obb")
_WITHOUT_NMS = (
    "non-maximum suppression is inside this export, and the service does that itself: "
    "export without NMS (nms=False, end2end=False; YOLOv7: without --end2end)"
)


@dataclass(frozen=True, slots=True)
class Export:
    """What was found out about an exported model."""

    kind: Kind
    form: Form
    """`yolov5`: [candidates, 5 + labels]; `yolov8`: [4 + labels, candidates]; `scores`:
    [labels]."""
    picture: Picture
    input: str
    """Name of the input."""
    output: str
    """Name of the output that is read."""
    shape: tuple[int, ...]
    """Of that output, without the batch."""
    labels: tuple[str, ...]
    metadata: Mapping[str, str]
    """What the exporting program wrote into the file."""

    @property
    def is_ultralytics_classifier(self) -> bool:
        """Whether its own metadata say how its pixels are to be prepared."""
        return self.metadata.get("task") == "classify"


def recognise(
    model: onnx.ModelProto,
    kind: Kind | None = None,
    labels: Sequence[str] | None = None,
    labels_from: str = "--labels",
) -> Export:
    """Find out what a raw export is.

    Args:
        model: As exported.
        kind: What the user says it is.
        labels: Its labels in order; None: those that the export names.
        labels_from: Where the labels come from, for sentences.

    Raises:
        ExportError: It is nothing that can be served, or not what the user says.
    """
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    _refuse_other_exports(model, metadata)
    picture = picture_of(model)
    shapes = answers(model)
    boxes = {name: s for name, s in shapes.items() if len(s) == _BOXES}
    scores = {name: s for name, s in shapes.items() if len(s) == _SCORES}
    found: Kind | None = "detector" if boxes else "classifier" if scores else None
    if found is None or (kind is not None and kind != found):
        raise ExportError(_not_that(kind, found, shapes))
    chosen = boxes if found == "detector" else scores
    if found == "detector" and any(len(s) == _MASKS for s in shapes.values()):
        raise ExportError(f"it answers masks, too ({_said(shapes)}): export a detection model")
    if len(chosen) > 1:
        raise ExportError(
            f"it has several outputs that might be the {found}'s: {_said(chosen)}; "
            "export it with that one output alone"
        )
    ((output, shape),) = chosen.items()
    if labels is None and "names" in metadata:
        labels, labels_from = names_of(metadata["names"]), "the export's own list of names"
    form: Form = "scores"
    if found == "detector":
        form = _form(shape, picture, labels)
    names = _checked_labels(form, output, shape, labels, labels_from)
    return Export(found, form, picture, only_input(model).name, output, shape[1:], names, metadata)


def names_of(text: str) -> tuple[str, ...]:
    """Return the labels in what ultralytics writes as `names`: a dictionary or list as text.

    Raises:
        ExportError: It is something else.
    """
    try:
        found = ast.literal_eval(text)
        if isinstance(found, dict):
            return tuple(str(found[number]) for number in range(len(found)))
        return tuple(str(name) for name in found)
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise ExportError(
            f"the export's own list of names cannot be read ({text[:60]}): give --labels"
        ) from error


def _refuse_other_exports(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    if model.producer_name == "secondlook":
        raise ExportError(
            "this model was fused by this program already: copy its whole folder, or take it "
            "apart first (python -m training.export unfuse)"
        )
    if metadata.get("task") in _OTHER_TASKS:
        raise ExportError(
            f"this is a model for the task {metadata['task']!r}: a detection model is needed "
            "(task=detect), or a classifier"
        )
    inside = any(node.op_type.startswith(_NMS) for node in model.graph.node)
    args = metadata.get("args", "")
    if inside or metadata.get("nms") == "True" or "'nms': True" in args:
        raise ExportError(_WITHOUT_NMS)
    if metadata.get("end2end") == "True":
        raise ExportError(_WITHOUT_NMS)


def _form(
    shape: tuple[int, ...], picture: Picture, labels: Sequence[str] | None
) -> Literal["yolov5", "yolov8"]:
    """Tell the two layouts of candidates apart."""
    _, first, second = shape
    cells = {
        sum((picture.height // s) * (picture.width // s) for s in strides) for strides in _STRIDES
    }
    known = cells | {3 * count for count in cells}
    if first <= _KEPT_BY_NMS and second in _NMS_COLUMNS and first not in known:
        raise ExportError(_WITHOUT_NMS)
    if first < second:
        return "yolov8"
    if first in cells and labels is not None and second == 4 + len(labels):
        raise ExportError(
            f"its output {list(shape)} is that of YOLOv8 turned around: export it as YOLOv8 does, "
            f"[batch, {second}, {first}]"
        )
    return "yolov5"


def _checked_labels(
    form: Form, output: str, shape: tuple[int, ...], labels: Sequence[str] | None, where: str
) -> tuple[str, ...]:
    count = {"yolov5": shape[-1] - 5, "yolov8": shape[1] - 4, "scores": shape[-1]}[form]
    if count < 1:
        raise ExportError(
            f"its output {output} {list(shape)} has no room for labels: a detector answers "
            "[batch, candidates, 5 + labels] or [batch, 4 + labels, candidates], with its boxes "
            "decoded"
        )
    if labels is None:
        raise ExportError(
            f"the model has {count} label{'s' * (count > 1)} and the export does not name "
            f"{'them' if count > 1 else 'it'}: say --labels labels.txt or --labels a,b,c, "
            "in the order of training"
        )
    if len(labels) != count:
        raise ExportError(
            f"{where} names {len(labels)} label{'s' * (len(labels) != 1)}, but the model answers "
            f"{count} (output {output} {list(shape)}): give as many, in the order of training"
        )
    return tuple(labels)


def _not_that(kind: Kind | None, found: Kind | None, shapes: Mapping[str, tuple[int, ...]]) -> str:
    if found is not None:
        return (
            f"it is a {found}, not a {kind}: its output is {_said(shapes)}; say --kind {found}, "
            f"or give the {kind}'s file"
        )
    return (
        f"its output is {_said(shapes)}, but a detector answers [batch, candidates, 5 + labels] "
        "or [batch, 4 + labels, candidates] and a classifier [batch, labels]: export the model "
        "with its last layer (YOLO: with decoded boxes) and without NMS"
    )


def _said(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
