"""What has to be known of an exported model: from the user, from the export, by convention."""

from pathlib import Path

from secondlook.config import check_slugs
from secondlook.model_request import AddRequest
from secondlook.model_spec import ModelParameters
from training.raw_models import ExportError
from training.recognise import Export

_DETECTOR = ModelParameters(
    channels="rgb", value_range="0..1", resize="letterbox", interpolation="linear", min_score=0.25
)
"""What YOLO exports want, where the user says nothing else."""
_CLASSIFIER = ModelParameters(channels="rgb", resize="stretch", interpolation="linear")


def read_labels(given: str | None) -> tuple[list[str] | None, str]:
    """Return the labels of a file or of a text with commas, and where they come from, in words.

    Raises:
        ExportError: The file is missing or empty.
    """
    if given is None:
        return None, ""
    path = Path(given)
    if path.is_file():
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        found = [line for line in lines if line]
        if not found:
            raise ExportError(f"--labels {path}: the file names no label; write one a line")
        return found, f"the labels file {path}"
    if "," not in given and (path.suffix or "/" in given):
        raise ExportError(f"--labels {given}: there is no such file")
    return [part.strip() for part in given.split(",") if part.strip()], f"--labels {given}"


def check_labels(export: Export) -> None:
    """Refuse labels that cannot be told apart in a configuration or a topic.

    Raises:
        ExportError: The text names them.
    """
    doubled = sorted({label for label in export.labels if export.labels.count(label) > 1})
    if doubled:
        raise ExportError(f"the labels name {', '.join(doubled)} twice: rename one")
    if odd := [label for label in export.labels if "," in label or not label.isprintable()]:
        raise ExportError(f"the label {odd[0]!r} has a comma or a control character: rename it")
    if export.kind == "classifier":
        try:
            check_slugs(list(export.labels))
        except ValueError as error:
            raise ExportError(f"{error}: rename one, since each label has its topic") from error


def completed(request: AddRequest, export: Export) -> ModelParameters:
    """Return everything that the raw model's pixels and answers need, but a classifier's `output`.

    Raises:
        ExportError: The user has to say something that no file tells.
    """
    given = request.parameters
    labels = ModelParameters(labels=export.labels)
    if export.kind == "classifier":
        if given.min_score is not None:
            raise ExportError(
                "--min-score is for detectors; a classifier's scores count by alerts.confirm_score"
            )
        return _CLASSIFIER.overridden_by(labels).overridden_by(_range(request, export))
    if given.output:
        raise ExportError("--output is for classifiers; a detector's form shows in its shape")
    form = ModelParameters.model_validate({"output": export.form})
    return _DETECTOR.overridden_by(labels).overridden_by(form).overridden_by(given)


def _range(request: AddRequest, export: Export) -> ModelParameters:
    """Return a classifier's own parameters with the value range that they or the export imply."""
    given = request.parameters
    if given.value_range is not None:
        return given
    if export.is_ultralytics_classifier:
        return given.model_copy(update={"value_range": "0..1"})
    per_channel = (*(given.mean or ()), *(given.std or ()))
    if not per_channel:
        raise ExportError(
            f"nothing tells which pixel values {request.file.name} was trained on: say "
            "--value-range 0..255 (Keras' EfficientNet), --value-range 0..1, or --mean and --std "
            "(torchvision: --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225)"
        )
    # Nobody's average pixel is below one of 255.
    return given.model_copy(update={"value_range": "0..1" if max(per_channel) <= 1 else "0..255"})
