"""Reading the configuration file: secrets, overrides, and every mistake at once.

A key is taken from the file, or else from the environment (`SECONDLOOK__MQTT__HOST`), or else from
the command line (`--set mqtt.host=…`); the later wins.
"""

import difflib
import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from secondlook import versions
from secondlook.config import Config, resolved
from secondlook.errors import ConfigError, VersionMismatch

MAX_BYTES = 1_000_000
NOT_ITSELF = "a name belongs here, not the secret itself"
VARIABLE = "SECONDLOOK__"
"""Begins the environment's variables that set a key; two underscores stand between its parts."""


@dataclass(frozen=True, slots=True)
class _Override:
    """A key that is set outside the file."""

    said: str
    """What the user wrote before the value, for sentences."""
    path: str
    """The key, as mqtt.host."""
    text: str
    """The value as in YAML."""
    public: bool
    """Others can read it, as they can command lines."""


class _Mistakes(Exception):
    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self.said = said


class Fetched(str):
    """A value that stands elsewhere: `!env` or `!file`."""

    __slots__ = ()


class _Loader(yaml.SafeLoader):
    """YAML as data only, with `!env` and `!file`, and no key twice."""

    base: Path
    mistakes: list[str]

    def _where(self, node: yaml.Node) -> str:
        return f"line {node.start_mark.line + 1}"

    def env(self, node: yaml.Node) -> Fetched:
        """Take a secret from the environment."""
        name = str(node.value)
        if name in os.environ:
            return Fetched(os.environ[name])
        # Whoever writes the secret itself there is not to find it in a log.
        if re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name):
            why = f"!env {name}: that variable is not set"
        else:
            why = f"!env: no variable of that name is set; {NOT_ITSELF}"
        self.mistakes.append(f"{self._where(node)}: {why}")
        return Fetched()

    def file(self, node: yaml.Node) -> Fetched:
        """Take a secret from a file, without the line end."""
        path = self.base / Path(str(node.value)).expanduser()
        try:
            return Fetched(path.read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            is_a_path = re.fullmatch(r"[^:@]*/[^:@]*", str(node.value))
            said = f"!file {node.value}: {why}" if is_a_path else f"!file: {why}; {NOT_ITSELF}"
            self.mistakes.append(f"{self._where(node)}: {said}")
            return Fetched()

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping, and note keys that stand twice: YAML would keep the last in silence."""
        seen: set[str] = set()
        for key, _ in node.value:
            # Lists and mappings as keys are refused below.
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                again = f"{_key(key.value)} stands here a second time"
                self.mistakes.append(f"{self._where(key)}: {again}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_constructor("!env", _Loader.env)
_Loader.add_constructor("!file", _Loader.file)


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read the configuration.

    Args:
        path: The YAML file; relative paths within it start from its folder.
        overrides: `key.subkey=value` each, the value as in YAML; they win over the file and over
            the environment.

    Raises:
        VersionMismatch: It is of a version of the format that this program cannot read.
        ConfigError: The text names every mistake with its path.
    """
    try:
        text = _read(path)
        tree, mistakes = _parse(text, path)
        _require_version(tree, path)
        outside = (*_of_environment(os.environ), *map(_of_command_line, overrides))
        for override in outside:
            mistakes += _apply(tree, override, path)
    except _Mistakes as found:
        raise ConfigError(_sentence(path, found.said)) from None
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        mistakes.extend(_explain(error, {each.path: each.said for each in outside}))
    else:
        if not mistakes:
            return resolved(config, path.absolute().parent)  # type: ignore[no-any-return]
    raise ConfigError(_sentence(path, mistakes))


def _require_version(tree: dict[str, Any], path: Path) -> None:
    """Refuse another version's file before its keys are called mistakes."""
    found = tree.get("version")
    if not isinstance(found, int) or versions.CONFIG_OLDEST <= found <= versions.CONFIG:
        return
    if found > versions.CONFIG:
        raise VersionMismatch(
            f"{path} is written for a newer version of Second Look (its format is {found}, this "
            f"version reads up to {versions.CONFIG}); install that one"
        )
    raise VersionMismatch(
        f"{path} is written for an old version of Second Look (its format is {found}, this version "
        f"reads {versions.CONFIG_OLDEST} or newer); docs/upgrading.md says what to change in it"
    )


def tree_of(path: Path, text: str, *, environment: bool = False) -> dict[str, Any]:
    """Return the text of a configuration file as data, whatever its keys; no secret need be there.

    Args:
        path: Where it stands, or shall.
        text: What it says.
        environment: Whether variables that set a key are in it, too.

    Raises:
        VersionMismatch: It is of a version of the format that this program cannot read.
        ConfigError: It is no mapping in YAML.
    """
    try:
        tree, _ = _parse(text, path)
        _require_version(tree, path)
        for override in _of_environment(os.environ) if environment else ():
            _apply(tree, override, path)
    except _Mistakes as found:
        raise ConfigError(_sentence(path, found.said)) from None
    return tree


def _sentence(path: Path, mistakes: Iterable[str]) -> str:
    return "\n  ".join([f"{path} is not valid:", *mistakes])


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _Mistakes(["there is no such file; begin with config.example.yaml"]) from None
    except OSError as error:
        raise _Mistakes([f"it cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise _Mistakes(["it is not UTF-8 text"]) from None
    if len(text) > MAX_BYTES:
        raise _Mistakes([f"it is larger than {MAX_BYTES} characters"])
    return text


def _parse(text: str, path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        tree, mistakes = _data(text, path)
    # PyYAML answers a tag that does not fit its text (`!!timestamp x`) with whatever happens to it.
    except (
        *(yaml.YAMLError, RecursionError, ValueError),
        *(AttributeError, LookupError, TypeError),
    ) as error:
        # str(error) of a MarkedYAMLError repeats the line, which may hold a secret.
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be understood"
        raise _Mistakes([f"{where}this is not YAML: {problem}"]) from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise _Mistakes(["it must be a mapping of sections such as cameras:"])
    return tree, mistakes


def _data(text: str, path: Path) -> tuple[Any, list[str]]:
    """Return YAML as data, and what is wrong with its secrets."""
    loader = _Loader(text)
    loader.base = path.absolute().parent
    loader.mistakes = []
    try:
        return loader.get_single_data(), loader.mistakes
    finally:
        loader.dispose()


def _of_environment(environ: Mapping[str, str]) -> Iterator[_Override]:
    """Yield what variables set; an empty one sets nothing, so that a compose file can undo it."""
    for name, text in sorted(environ.items()):
        if name.startswith(VARIABLE) and text:
            path = name.removeprefix(VARIABLE).lower().replace("__", ".")
            yield _Override(name, path, text, public=False)


def _of_command_line(setting: str) -> _Override:
    path, equals, text = setting.partition("=")
    if not equals:
        raise _Mistakes([f"--set {path}: write it as key.subkey=value"])
    return _Override(f"--set {path}", path, text, public=True)


def _apply(tree: dict[str, Any], override: _Override, file: Path) -> list[str]:
    said, text, keys = override.said, override.text, override.path.split(".")
    if not all(keys):
        raise _Mistakes([f"{said}: write it as key.subkey=value"])
    if override.public and is_open_secret(keys[-1], text):
        advice = "give a password as !env NAME or !file PATH"
        raise _Mistakes([f"{said}: others can read what stands on command lines; {advice}"])
    try:
        value, mistakes = _data(text, file)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise _Mistakes([f"{said}: the value is not YAML"]) from None
    at: Any = tree
    for key in keys[:-1]:
        if at.get(key) is None:
            at[key] = {}
        at = at[key]
        if not isinstance(at, dict):
            raise _Mistakes([f"{said}: {key} has no keys below it"])
    at[keys[-1]] = value
    return mistakes


def is_open_secret(key: str, text: str) -> bool:
    """Tell whether a value, as YAML, holds a password as it is."""
    if key == "password":
        return not text.strip().startswith(("!env ", "!file ")) and text.strip() != "null"
    return bool(re.search(r"password\s*:\s*(?!!env|!file|null)|//[^/\s]*@", text))


def _explain(error: ValidationError, outside: Mapping[str, str]) -> list[str]:
    """Return a line for each mistake; `outside` says who set keys that the file did not."""
    found = error.errors(include_url=False, include_input=False)
    return [_line(mistake, outside) for mistake in found]


def _line(mistake: ErrorDetails, outside: Mapping[str, str]) -> str:
    loc = [_key(str(part)) for part in mistake["loc"]]
    # What people wrote stays, whatever it looks like: a camera's name, and a key that is not ours.
    theirs = {1} if loc[:1] == ["cameras"] else set()
    theirs |= {len(loc) - 1} if mistake["type"] == "extra_forbidden" else set()
    # Pydantic puts `[key]` and the branches of a union into the path; people did not write them.
    path = [p for at, p in enumerate(loc) if at in theirs or not re.search(r"[\[-]", p)]
    where = ".".join(path) or "the file"
    if where in outside:
        where += f" (set by {outside[where]})"
    match mistake["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(path[-1], _keys_beside(path), n=1)
            return f"{where}: there is no such key" + (f"; did you mean {near[0]}?" if near else "")
        case "missing":
            return f"{where}: this key is needed"
        case "string_pattern_mismatch" if mistake["loc"][0] == "cameras" and len(path) == 2:  # noqa: PLR2004 - cameras.<name>
            return f"{where}: a camera's name is made of a-z, 0-9 and _, at most 32 of them"
        case _:
            return f"{where}: {mistake['msg'].removeprefix('Value error, ')}"


def _key(written: str) -> str:
    """Return a key as it can be shown: in `{password:secret}` YAML takes all of it for one."""
    name = re.match(r"[^:/@]{0,64}", written)
    return written if name is None or name[0] == written else f"{name[0]}…"


def _keys_beside(path: Sequence[str]) -> list[str]:
    section: type[BaseModel] = Config
    for part in path[:-1]:
        field = section.model_fields.get(part)
        if field is None:
            continue  # the name of a camera
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        models = [t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)]
        if not models:
            return []
        section = models[0]
    return list(section.model_fields)
