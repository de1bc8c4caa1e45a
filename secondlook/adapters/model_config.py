"""Reads a model's config.pbtxt as Triton would, without a server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from secondlook.errors import ModelMismatch


def read_config(path: Path) -> Mapping[str, Any]:
    """Return a config.pbtxt in the JSON form that `spec_of` takes.

    Raises:
        ModelMismatch: It is missing, or no text that Triton could read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelMismatch(f"{path} cannot be read: {error}") from None
    return parse_config(text, str(path))


def parse_config(text: str, name: str) -> Mapping[str, Any]:
    """Return the text of a config.pbtxt in JSON form; `name` stands in the error's sentence.

    Raises:
        ModelMismatch: Triton could not read it.
    """
    try:
        parsed = text_format.Parse(text, model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise ModelMismatch(f"{name} is no model configuration: {error}") from None
    found: Mapping[str, Any] = json_format.MessageToDict(parsed, preserving_proto_field_name=True)
    return found
