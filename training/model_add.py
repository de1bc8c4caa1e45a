"""Takes an exported model into a model repository: checked, fused, proven, then moved in whole.

`secondlook model add` runs it as a process: `python -m training.model_add JSON`, with the fields
of `AddRequest`. Nothing is written to the repository before the proof.
"""

import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from secondlook.model_request import AddRequest
from training.agreement import Agreement
from training.model_files import Form, config_lines
from training.model_fusing import Fused, fuse_and_prove, prove_saved_model
from training.model_parameters import check_labels, completed, read_labels
from training.model_writing import Contents, write_folder
from training.raw_models import ExportError, opset_of
from training.recognise import Export, recognise
from training.sources import Source, open_source
from training.trial_pictures import pictures

INTERRUPTED = 130


def add(request: AddRequest, console: Console) -> Path:
    """Check, fuse, prove and write one model; return its folder.

    Raises:
        ExportError: It is refused; the repository is as it was.
    """
    target = request.repository / request.name
    if target.exists() and not request.replace:
        raise ExportError(
            f"there is a model {request.name} in {request.repository} already: choose another "
            "--name, or say --replace"
        )
    labels, labels_from = read_labels(request.labels)
    with tempfile.TemporaryDirectory(prefix="secondlook-add-") as folder:
        source = open_source(request.file, Path(folder))
        export = recognise(source.model, request.kind, labels, labels_from)
        check_labels(export)
        parameters = completed(request, export)
        shown = pictures(request.images)
        what = f"{request.file}: {described(export, source)}"
        console.print(what, highlight=False, markup=False, soft_wrap=True)
        with _progress(console) as progress:
            fused = fuse_and_prove(source.model, export, parameters, shown, progress)
        saved = prove_saved_model(source, fused.original, shown, Path(folder))
        for line in found(export, fused, saved):
            console.print(line, highlight=False, soft_wrap=True)
        facts = [*_facts(request, source, export, fused, saved)]
        written = Contents(
            request.name,
            fused.model,
            fused.form,
            facts,
            _licence(request, export),
            source.saved_model,
            _saved_form(source, fused),
        )
        target = write_folder(written, request.repository, replace=request.replace)
    console.print("[green]added[/]", end=" ")
    console.print(str(target), markup=False, highlight=False, soft_wrap=True)
    console.print("\nTo use it, write into config.yaml:\n")
    for line in config_lines(export.kind, request.name, export.labels):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    return target


def described(export: Export, source: Source) -> str:
    """Return what an export is, in words."""
    height, width, nchw = export.picture
    what = {
        "yolov5": "a detector with objectness (YOLOv5 to v7)",
        "yolov8": "a detector without objectness (YOLOv5u, v8, v11)",
        "scores": "a classifier",
    }[export.form]
    layout = "NCHW" if nchw else "NHWC"
    some = ", ".join(export.labels[:5]) + (", ..." if len(export.labels) > 5 else "")
    return (
        f"{what}, {width}x{height} {layout}, opset {opset_of(source.model)}, "
        f"{len(export.labels)} label{'s' * (len(export.labels) != 1)} ({some})"
    )


def found(export: Export, fused: Fused, saved: Agreement | None) -> Iterator[str]:
    """Yield what the trial showed, in sentences."""
    proof = fused.proof
    yield f"fused and original agree on {_compared(export, proof.agreement)}"
    if saved is not None:
        yield f"SavedModel and ONNX agree on {saved.compared} pictures: {saved}"
    if not fused.batches:
        yield (
            "it takes one picture a call (max_batch_size 1): the export is tied to a batch of one; "
            "with a free batch axis Triton could group pictures"
        )
    if export.kind == "detector":
        pictures_with = sum(map(bool, proof.found))
        yield (
            f"at score {fused.form.parameters.min_score:g} it finds {sum(proof.found)} things in "
            f"{pictures_with} of {len(proof.found)} pictures"
        )
    else:
        best = sorted(proof.best.items(), key=lambda entry: -entry[1])
        yield "best labels: " + ", ".join(f"{label} {count}" for label, count in best[:5])
        if not proof.varies:
            yield (
                "[yellow]note[/]: it answers the same for every picture: is --value-range right?"
            )


def _compared(export: Export, agreement: Agreement) -> str:
    if export.kind == "detector":
        return f"{agreement.compared} boxes of {agreement.pictures} pictures: {agreement}"
    return f"{agreement.pictures} pictures: {agreement}"


def _facts(
    request: AddRequest, source: Source, export: Export, fused: Fused, saved: Agreement | None
) -> Iterator[tuple[str, str]]:
    raw = ["batch", *fused.original.spec.input.shape]
    yield "Kind", export.kind
    yield "Labels", ", ".join(export.labels)
    yield "Source", f"`{request.file.name}`, sha256 `{source.sha256}`"
    yield (
        "As exported",
        f"{described(export, source)}; input {raw}, output `{export.output}` "
        f"{['batch', *export.shape]}".replace("'", ""),
    )
    if exporter := export.metadata.get("description"):
        yield "The export says", f"{exporter.strip()}, {export.metadata.get('date', '')[:10]}"
    said = fused.original.spec.parameters.model_dump(exclude_none=True, exclude={"labels"})
    yield "Trained on", ", ".join(f"{key} {_plain(value)}" for key, value in said.items())
    form = fused.form
    outputs = ", ".join(f"`{t.name}` {['n', *t.shape]}" for t in form.outputs).replace("'", "")
    picture = str(["n", *form.input.shape]).replace("'", "")
    yield (
        "Served form",
        f"`images` UINT8 {picture}; {outputs}; max_batch_size {form.max_batch}",
    )
    where = str(request.images) if request.images else "the demo clip and drawn scenes"
    yield "Parity", f"{_compared(export, fused.proof.agreement)} ({where})"
    if saved is not None:
        yield "Parity of SavedModel and ONNX", f"{saved.compared} pictures: {saved}"
    yield "Added", f"{datetime.now(UTC):%Y-%m-%d} by `secondlook model add`"


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _licence(request: AddRequest, export: Export) -> str:
    return request.licence or export.metadata.get("license") or "not stated"


def _saved_form(source: Source, fused: Fused) -> Form | None:
    if source.saved_model is None:
        return None
    spec = fused.original.spec
    return Form(spec.input, spec.outputs, spec.parameters, fused.form.max_batch)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True)


def main() -> int:
    """Add the model that the first argument describes; return the exit status."""
    request = AddRequest.model_validate_json(sys.argv[1])
    console = Console()
    try:
        add(request, console)
    except ExportError as error:
        print(f"secondlook: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("secondlook: interrupted; nothing was added", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
