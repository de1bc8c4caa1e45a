"""`secondlook model add`: one's own model into the repository, proven before it is written."""

from pathlib import Path

import click
from pydantic import ValidationError

from secondlook.commands.model_options import (
    REPOSITORY,
    default_repository,
    require_libraries,
    run_training,
)
from secondlook.model_request import AddRequest
from secondlook.model_spec import ModelParameters


@click.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The model's name at Triton: letters, digits, _ . -")
@click.option(
    "--kind",
    type=click.Choice(["detector", "classifier"]),
    help="Default: what the shape of its output tells.",
)
@click.option(
    "--labels",
    metavar="FILE|A,B,C",
    help="The labels in the order of training; default: those that the export names.",
)
@click.option("--channels", type=click.Choice(["rgb", "bgr"]), help="Default: rgb.")
@click.option(
    "--value-range",
    type=click.Choice(["0..1", "0..255"]),
    help="Of the pixels it was trained on, before --mean and --std; detectors: 0..1.",
)
@click.option("--mean", metavar="R,G,B", help="Subtracted, in units of the value range.")
@click.option("--std", metavar="R,G,B", help="Divided by, after the mean.")
@click.option(
    "--resize",
    type=click.Choice(["letterbox", "stretch"]),
    help="Default: letterbox for a detector, stretch for a classifier.",
)
@click.option(
    "--interpolation", type=click.Choice(["linear", "cubic", "area"]), help="Default: linear."
)
@click.option(
    "--output",
    type=click.Choice(["probabilities", "logits"]),
    help="What a classifier answers; default: what its answers look like.",
)
@click.option(
    "--min-score", type=click.FloatRange(0, 1), help="A detector's operating point; default: 0.25."
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Pictures to prove it on; default: the demo clip and drawn scenes.",
)
@click.option("--licence", help="The weights' licence, for the card.")
@REPOSITORY
@click.option("--replace", is_flag=True, help="Take the place of a model of that name.")
def command(
    *,
    file: Path,
    name: str,
    kind: str | None,
    labels: str | None,
    images: Path | None,
    licence: str | None,
    repository: Path | None,
    replace: bool,
    **parameters: object,
) -> None:
    """Take an exported model into the model repository.

    FILE is a YOLO export to ONNX (v5 to v7, v5u, v8, v11), or a classifier: ONNX, a Keras file
    (.keras, .h5) or the folder of a SavedModel. It is checked, and what surrounds it is fused
    into its graph: pixels go in as bytes, scores come out. Fused and original have to agree on
    real pictures before anything is written; a refusal says what to do and leaves nothing behind.

    \b
      secondlook model add best.onnx --name doors
      secondlook model add best.onnx --name doors --labels labels.txt --images my_pictures
      secondlook model add second.keras --name things --labels gun,phone --value-range 0..255
      secondlook model add second.onnx --name things --labels gun,phone \\
          --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
    """
    given = {key: value for key, value in parameters.items() if value is not None}
    try:
        request = AddRequest.model_validate(
            {
                "file": file,
                "name": name,
                "kind": kind,
                "labels": labels,
                "images": images,
                "licence": licence,
                "replace": replace,
                "repository": repository or default_repository(),
                "parameters": ModelParameters.model_validate(given),
            }
        )
    except ValidationError as error:
        raise click.UsageError(_sentence(error)) from None
    require_libraries()
    raise SystemExit(run_training("model_add", request.model_dump_json()))


def _sentence(error: ValidationError) -> str:
    """Name the options that cannot be understood."""
    said = []
    for wrong in error.errors():
        option = str(wrong["loc"][0]).replace("_", "-") if wrong["loc"] else "parameters"
        if option == "name":
            said.append("--name: letters, digits, _ . and -, beginning with a letter or digit")
        elif option in ("mean", "std"):
            said.append(f"--{option}: three numbers with commas between, as 0.485,0.456,0.406")
        else:
            said.append(f"--{option}: {wrong['msg']}")
    return "; ".join(dict.fromkeys(said))
