"""Writes `config.example.yaml` from the configuration's own fields, defaults and docstrings."""

import ast
import inspect
import itertools
import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from secondlook.config import Camera, Config

WIDTH = 98
HEAD = """\
# Second Look: every key of the configuration, with its default and what it means.
#
# Only `cameras` with a `source` each is needed; leave out whatever you do not change.
# Copy this file to config.yaml, shorten it, and try it: secondlook check
#
# Secrets need not stand here: `!env NAME` takes a value from the environment, `!file path`
# from a file. Neither is ever printed.
#
# A variable of the environment sets a key too, and wins over this file, as SECONDLOOK__MQTT__HOST
# sets mqtt.host; on command lines `--set mqtt.host=…` wins over both.
#
# Sections that are off by default stand behind a `#`; their lines keep YAML's indentation.

"""
EXAMPLES: Mapping[tuple[str, str], str] = {
    ("Camera", "username"): "viewer",
    ("Camera", "password"): "!env FRONT_DOOR_PASSWORD",
    ("Camera", "zones"): "{porch: [[0.1, 0.3], [0.6, 0.3], [0.6, 1.0], [0.1, 1.0]]}",
    ("Camera", "masks"): "[[[0.8, 0.0], [1.0, 0.0], [1.0, 0.2], [0.8, 0.2]]]",
    ("Mqtt", "username"): "secondlook",
    ("Mqtt", "password"): "!file /run/secrets/mqtt_password",
    ("Detector", "labels"): "[person]",
    ("Page", "hosts"): "[pi.lan, 192.0.2.7]",
    ("Log", "levels"): "{producers.sources: debug}",
    ("Alerts", "confirm_score"): "{small_gun: 0.8, big_gun: 0.7}",
}
"""Shown in a comment where the default alone would not tell how to write it."""
CAMERA = "front_door"
SOURCE = "rtsp://192.0.2.10/stream"


def render() -> str:
    """Return the whole file."""
    lines = [HEAD]
    for name, field in Config.model_fields.items():
        lines += [f"{line}\n" for line in _field(Config, name, field, "")]
        lines.append("\n")
    return "".join(lines).rstrip("\n") + "\n"


def _field(owner: type[BaseModel], name: str, field: FieldInfo, indent: str) -> Iterator[str]:
    inner = _model_in(field)
    yield from _comment(_docstrings(owner).get(name) or _first_line(inner), indent)
    example = EXAMPLES.get((owner.__name__, name))
    if example:
        yield f"{indent}# {name}: {example}"
    if owner is Config and name == "cameras":
        yield "cameras:"
        yield f"  {CAMERA}:"
        yield from _fields(Camera, "    ")
        return
    if owner is Camera and name == "source":
        yield f"{indent}source: {SOURCE}"
        return
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        yield f"{indent}{name}:"
        yield from _fields(type(default), f"{indent}  ")
        return
    yield f"{indent}{name}: {_value(default)}"
    if inner is not None:
        yield from _fields(inner, f"{indent}#   ")


def _fields(section: type[BaseModel], indent: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield from _field(section, name, field, indent)


def _value(value: object) -> str:
    """Return a value as YAML in one line."""
    plain = json.loads(json.dumps(value, default=str))
    text = yaml.safe_dump(plain, default_flow_style=True, width=1_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), WIDTH - len(indent)):
        yield f"{indent}# {line}"


def _model_in(field: FieldInfo) -> type[BaseModel] | None:
    """Return the section that a field holds, also where it is optional."""
    kinds: list[Any] = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)


def _first_line(section: type[BaseModel] | None) -> str:
    return (inspect.getdoc(section) or "").partition("\n")[0] if section else ""


def _docstrings(section: type[BaseModel]) -> dict[str, str]:
    """Return the docstring under each field of a class."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(section)))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    found = {}
    for field, below in itertools.pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = text
    return found


def write(path: Path) -> bool:
    """Write the file; return whether it changed."""
    text = render()
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True
