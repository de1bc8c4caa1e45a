import json
import re
from pathlib import Path
from typing import Any

import pytest

from secondlook import schema, topics

DOCS = Path(__file__).parents[2] / "docs"


def test_the_committed_documents_are_up_to_date() -> None:
    page = (DOCS / "messages.md").read_text(encoding="utf-8")
    stale = [
        name
        for name, text in schema.documents(page).items()
        if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != text
    ]
    assert not stale, "run `make schema` and commit"


def test_nothing_is_left_over_from_topics_that_are_gone() -> None:
    made = schema.documents((DOCS / "messages.md").read_text(encoding="utf-8"))
    kept = [*DOCS.glob("schemas/*"), *DOCS.glob("samples/*")]
    assert {str(path.relative_to(DOCS)) for path in kept} <= set(made)


@pytest.mark.parametrize(
    "topic", [t for t in topics.ALL if t.kind == "json"], ids=lambda t: t.pattern
)
def test_a_sample_shows_every_field(topic: topics.Topic[Any]) -> None:
    for sample in schema.samples_of(topic):
        if isinstance(sample, dict) and "schema" in sample:
            known = schema.schema_of(topic)
            models = [known, *known.get("$defs", {}).values()]
            (mine,) = [
                m
                for m in models
                if m.get("properties", {}).get("schema", {}).get("const") == sample["schema"]
            ]
            assert set(sample) == set(mine["properties"])


def test_the_page_links_only_to_what_exists() -> None:
    page = (DOCS / "messages.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert (DOCS / target).exists(), target


def test_the_api_document_describes_every_topic() -> None:
    document = json.loads((DOCS / "asyncapi.json").read_text(encoding="utf-8"))
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {f"secondlook/{topic.pattern}" for topic in topics.ALL}


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        schema.documents("no table here")
