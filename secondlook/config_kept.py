"""Where a configuration keeps what outlives its services, and whether it holds passwords itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from secondlook.config import Classifier, Review, resolved
from secondlook.config_file import Fetched, is_open_secret, tree_of
from secondlook.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Kept:
    """What a configuration says about it."""

    database: Path
    review: Path
    open_secrets: tuple[str, ...]
    """The keys under which a password stands in the file as it is."""


def kept(path: Path, text: str) -> Kept:
    """Read what `text` says when it stands at `path`, and the environment; nothing else matters.

    Raises:
        VersionMismatch: It is of a version of the format that this program cannot read.
        ConfigError: It is no configuration, or does not say where.
    """
    tree = tree_of(path, text, environment=True)
    return Kept(
        database=_place(tree, path, "classifier", "database", Classifier),
        review=_place(tree, path, "review", "folder", Review),
        open_secrets=tuple(_open_secrets(tree_of(path, text), "")),
    )


def _place(
    tree: dict[str, Any], path: Path, section: str, key: str, model: type[BaseModel]
) -> Path:
    found = tree.get(section)
    said = {key: found[key]} if isinstance(found, dict) and key in found else {}
    if said.get(key) == "":
        raise ConfigError(
            f"{path}: {section}.{key} is empty; is what its `!env` or `!file` names there?"
        )
    try:
        place: Path = resolved(getattr(model.model_validate(said), key), path.absolute().parent)
    except ValidationError:
        raise ConfigError(f"{path}: {section}.{key} is no path") from None
    return place


def _open_secrets(tree: Any, at: str) -> Iterator[str]:  # noqa: ANN401 - walks any part of it
    if isinstance(tree, dict):
        for key, value in tree.items():
            where = f"{at}.{key}" if at else str(key)
            if isinstance(value, str) and not isinstance(value, Fetched):
                if is_open_secret(str(key), value):
                    yield where
            else:
                yield from _open_secrets(value, where)
