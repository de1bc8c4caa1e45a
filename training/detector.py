"""Trains a detector on anyone's boxes, by running YOLOv5's or Ultralytics' command as a process.

`python -m training.detector train --data coco.json --images photos --one-label suspect`

Reads the data set, has the tool train, exports, fuses for serving and chooses the threshold for
recall on the validation images. What is done is kept: `--resume` goes on. The tools are AGPL-3.0
and so are the weights that they make (model_repository/LICENSE.md).
"""

import os
import signal
import sys
from pathlib import Path
from typing import Literal

import click
import onnx

from training import dataset_files, detector_tool
from training.datasets import DatasetError
from training.detector_tool import Request, Tool
from training.environment import TrainingError, interpreter
from training.export import fuse_detector
from training.operating_point import conclude, measure_data
from training.raw_models import ExportError
from training.steps import Facts, Steps

STEPS = ("read", "train", "export", "fuse", "operating point")
INTERRUPTED = 130


def fuse(raw: Path, kind: Literal["yolov5", "yolov8"], side: int, out: Path) -> None:
    """Write an exported detector in the form that is served.

    Raises:
        ExportError: It is no such detector.
    """
    model = onnx.load(raw)
    # An export with free axes leaves height and width open too; it was made for this size.
    for axis, size in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], (side, side),
                          strict=True):  # fmt: skip
        if not axis.HasField("dim_value"):
            axis.dim_value = size
    onnx.save(fuse_detector(model, kind), out)


@click.group()
def main() -> None:
    """Train a detector on your own boxes."""


_EXISTING = click.Path(exists=True, path_type=Path)
_PATH = click.Path(path_type=Path)


@main.command()
@click.option("--data", type=_EXISTING, required=True,
              help="YOLO data.yaml, COCO .json or Pascal VOC folder.")  # fmt: skip
@click.option("--images", type=_EXISTING, help="Folder of a COCO set's images.")
@click.option("--validation", type=_EXISTING, help="A second COCO file or VOC folder, to judge by.")
@click.option("--one-label", help="Learn all labels as this one, as a detector for recall does.")
@click.option("--judged", default=0.15, show_default=True,
              help="Share of the recordings to judge by, where the data has no split.")  # fmt: skip
@click.option("--out", type=_PATH, default=Path("runs/detector"), show_default=True)
@click.option("--tool", type=click.Choice(["yolov5", "ultralytics"]), default="yolov5",
              show_default=True)  # fmt: skip
@click.option("--model", default="", help="The tool's name for the network; else the smallest.")
@click.option("--start", type=_EXISTING, help="A checkpoint (.pt) of the tool to start from.")
@click.option("--epochs", default=100, show_default=True)
@click.option("--minutes", default=600.0, show_default=True, help="The tool is stopped then.")
@click.option("--batch", default=32, show_default=True)
@click.option("--workers", default=min(os.cpu_count() or 1, 16), show_default=True)
@click.option("--device", default="", help="`cpu`, or a GPU's number.")
@click.option("--side", default=640, show_default=True, help="Height and width of the input.")
@click.option("--recall", default=0.95, show_default=True, help="Sets the threshold.")
@click.option("--min-width", default=0.0, show_default=True,
              help="Narrower things, in pixels of 1280, do not count for recall.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on where an earlier call stopped.")
def train(
    *,
    data: Path, images: Path | None, validation: Path | None, one_label: str | None,
    judged: float, out: Path, tool: Tool, model: str, start: Path | None, epochs: int,
    minutes: float, batch: int, workers: int, device: str, side: int, recall: float,
    min_width: float, resume: bool,
) -> None:  # fmt: skip
    """Read, train, export, fuse and choose the threshold."""
    package = "yolov5" if tool == "yolov5" else "ultralytics"
    file = out / "steps.json"
    if file.exists() and not resume:
        raise click.ClickException(f"{out} holds a training: --resume it, or give another --out")
    options: Facts = {"data": str(data), "one_label": one_label, "tool": tool, "model": model,
                      "side": side}  # fmt: skip
    steps = Steps(file, STEPS, options)
    request = Request(
        tool, interpreter(package), out.resolve(), out.resolve() / "data/data.yaml", epochs, batch,
        side, workers, device, model, str(start.resolve()) if start else "",
    )  # fmt: skip

    def read() -> Facts:
        found = dataset_files.read(
            data, images=images, validation=validation, one_label=one_label, judged=judged
        )
        click.echo("\n".join(dataset_files.table(found)))
        dataset_files.write(found, out / "data")
        (out / "labels.txt").write_text("".join(f"{label}\n" for label in found.labels))
        return {"pictures": len(found.pictures), "labels": found.labels}

    def trained() -> None:
        again = resume and request.last.exists()
        whole = detector_tool.train(request, minutes=minutes, resume=again)
        click.echo("trained" if whole else f"stopped after {minutes} minutes")

    fused, point = out / "model.onnx", out / "operating_point.json"
    steps.do("read", read)
    steps.do("train", trained)
    raw = steps.do("export", lambda: {"raw": str(detector_tool.export(request))})["raw"]
    steps.do("fuse", lambda: fuse(Path(raw), request.kind, side, fused))
    chosen = steps.do("operating point", lambda: {
        "min_score": conclude(
            measure_data(fused, out / "data/data.yaml", min_width=min_width), recall=recall,
            file=point, source=f"validation images of {data}",
        ).min_score
    })["min_score"]  # fmt: skip
    click.echo(
        f"{fused}, {point}\nserve it: secondlook model add {raw} --name my_detector "
        f"--labels {out / 'labels.txt'} --min-score {chosen}"
    )


def run(command: click.Command, *, again: str) -> None:
    """Run a command; a mistake ends it with a sentence, a Ctrl-C with how to go on `again`."""
    # A `kill` as well: the tool has a session of its own and would train on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        command(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (TrainingError, DatasetError, ExportError) as error:
        sys.exit(str(error))
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"stopped; what is done is kept: {again} goes on")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    run(main, again="the same command with --resume")
