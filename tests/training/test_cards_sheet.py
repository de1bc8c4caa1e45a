import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from producers.cards import CARDS, LABELS
from training.cards.page import mixed, page
from training.cards.sheet import FORMATS, artwork, main, sheet

DOCS = Path(__file__).parents[2] / "docs"
AGAIN = "run `python -m training.cards.sheet`"


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_that_is_shipped_shows_the_artwork_as_it_is() -> None:
    assert (DOCS / "cards.html").read_text(encoding="utf-8") == page(), AGAIN


@pytest.mark.parametrize("paper", FORMATS)
def test_the_sheet_that_is_shipped_shows_the_artwork_as_it_is(paper: str) -> None:
    shipped = (DOCS / f"cards-{paper}.pdf").read_bytes()
    assert f"artwork {artwork()}".encode() in shipped, AGAIN
    assert len(shipped) < 300_000


@pytest.mark.parametrize(("paper", "points"), [("a4", (595, 842)), ("letter", (612, 792))])
def test_a_sheet_has_a_page_for_each_label_in_the_papers_size(
    paper: str, points: tuple[int, int]
) -> None:
    made = sheet(paper)
    assert f"/Count {len(LABELS)}".encode() in made
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", made)
    assert box is not None
    assert (round(float(box[1])), round(float(box[2]))) == points
    assert b"/Subtype /Image" not in made


def test_the_same_drawings_give_the_same_sheet() -> None:
    assert sheet("a4") == sheet("a4")


def test_the_page_shows_every_card_once_and_loads_nothing() -> None:
    elements = Elements(page()).found
    shown = [attrs["id"] for tag, attrs in elements if tag == "svg"]
    assert sorted(str(name) for name in shown) == sorted(card.name for card in CARDS)
    assert {tag for tag, _ in elements}.isdisjoint({"img", "link", "iframe", "object", "image"})
    assert all("src" not in attrs and "href" not in attrs for _, attrs in elements)
    assert "url(" not in page()
    assert "http" not in page()


def test_every_shape_of_a_card_is_on_the_page() -> None:
    elements = Elements(page()).found
    drawn = sum(tag in {"polygon", "polyline"} for tag, _ in elements)
    assert drawn == sum(len(card.outline()) + len(card.shapes) for card in CARDS)


def test_neighbours_on_the_page_show_different_labels() -> None:
    cards = mixed()
    assert sorted(card.name for card in cards) == sorted(card.name for card in CARDS)
    assert all(a.label != b.label for a, b in itertools.pairwise(cards[:25]))


def test_one_command_writes_sheets_and_page(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cards-a4.pdf", "cards-letter.pdf", "cards.html",
    ]  # fmt: skip
