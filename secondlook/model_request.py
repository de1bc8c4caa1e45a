"""What `secondlook model add` asks of the program that adds a model. No I/O."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from secondlook.model_spec import ModelParameters

Kind = Literal["detector", "classifier"]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
LICENCE_MARK = "- **Licence**: "
"""Begins the line of a card that names the licence."""


class AddRequest(BaseModel):
    """One exported model, and where it is to go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path
    """An ONNX file, a .keras or .h5 file, or the folder of a SavedModel."""
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    """The model's name at Triton."""
    repository: Path
    """The model repository; made if it is not there."""
    kind: Kind | None = None
    """Default: what the shape of the output tells."""
    labels: str | None = None
    """A file with one label a line, or labels with commas between; default: the export's own."""
    parameters: ModelParameters = ModelParameters()
    """What the exported model wants; the rest is filled in."""
    images: Path | None = None
    """A folder of pictures to prove it on; default: the demo clip and drawn scenes."""
    licence: str | None = None
    """The weights' licence, for the card."""
    replace: bool = False
    """Take the place of a model of that name."""
