from pathlib import Path

import pytest
from pydantic import BaseModel

from secondlook.config import Camera, Config, resolved
from secondlook.config_example import CAMERA, EXAMPLES, SOURCE, render
from secondlook.config_file import load

RENDERED = render()
COMMITTED = Path(__file__).parents[2] / "config.example.yaml"


def keys(section: type[BaseModel], before: str = "") -> list[str]:
    found = []
    for name, field in section.model_fields.items():
        found.append(f"{before}{name}")
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            found += keys(type(default), f"{before}{name}.")
    return found


def test_the_committed_example_is_what_the_code_says() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == RENDERED, "stale: run make schema"


def test_the_example_loads_and_changes_nothing() -> None:
    plain = Config.model_validate({"cameras": {CAMERA: {"source": SOURCE}}})

    assert load(COMMITTED) == resolved(plain, COMMITTED.parent)


def test_the_example_names_every_key_with_a_sentence_above() -> None:
    lines = [line.strip() for line in RENDERED.splitlines()]

    for key in [*keys(Config), *keys(Camera)]:
        name = key.rpartition(".")[2]
        places = [i for i, line in enumerate(lines) if line.startswith(f"{name}:")]
        assert places, key
        assert all(lines[i - 1].startswith("# ") for i in places), key


@pytest.mark.parametrize(("owner", "name"), EXAMPLES)
def test_what_is_shown_in_comments_is_a_key(owner: str, name: str) -> None:
    assert f"# {name}: {EXAMPLES[owner, name]}" in RENDERED


@pytest.mark.parametrize(
    "section", [name for name, field in Config.model_fields.items() if name != "cameras"]
)
def test_every_section_stands_at_the_left_edge(section: str) -> None:
    assert f"\n{section}:" in RENDERED
