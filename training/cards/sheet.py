"""Makes the cards to print and the page to show them on a phone, from the same drawings.

`python -m training.cards.sheet --out docs`
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import click
from fpdf import FPDF

from producers.cards import CARDS, LABELS, Card, Label
from producers.drawing import Shape
from training.cards.page import page

FORMATS = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
"""Width and height of the paper in millimetres."""

_WIDE_HEIGHT, _TALL_HEIGHT = 69.0, 75.0
"""Heights of printed cards in millimetres: of those that lie, and of those that stand."""
_CELL = (95.0, 83.0)
"""Each card has a place of this width and height; two stand beside each other."""
_HEAD, _TOP = 10.0, 19.0
"""Where a page's heading begins, and where its first card does."""
_CUT = (150, 150, 150)

_SAYS: dict[Label, str] = {
    "small_gun": "Small guns: the detector suspects them, the second look confirms: alert",
    "big_gun": "Big guns: the detector suspects them, the second look confirms: alert",
    "phone": "Phones: the detector suspects them, the second look rejects: no alert",
    "umbrella": "Umbrellas: the detector suspects them, the second look rejects: no alert",
    "blank": "Blank cards: nothing to suspect; if the detector does, it is rejected",
}


def artwork() -> str:
    """Return a digest of everything that is drawn: equal artwork, equal digest."""
    return hashlib.sha256(repr(CARDS).encode()).hexdigest()[:16]


def sheet(paper: str) -> bytes:
    """Return the printable sheet as PDF: a page for each label, cut lines, vector drawings.

    Args:
        paper: One of FORMATS.
    """
    width, height = FORMATS[paper]
    pdf = FPDF(unit="mm", format=(width, height))
    pdf.set_auto_page_break(auto=False)
    pdf.set_title("Second Look: demo cards")
    pdf.set_keywords(f"artwork {artwork()}")
    pdf.set_creation_date(datetime(2026, 1, 1, tzinfo=UTC))  # the same file from the same drawings
    for label in LABELS:
        _page(pdf, label, width, height)
    return bytes(pdf.output())


def _page(pdf: FPDF, label: Label, width: float, height: float) -> None:
    pdf.add_page()
    pdf.set_text_color(60, 60, 60)
    pdf.set_font("Helvetica", size=11)
    pdf.text((width - 2 * _CELL[0]) / 2, _HEAD + 3, _SAYS[label])
    for number, card in enumerate(card for card in CARDS if card.label == label):
        left = (width - 2 * _CELL[0]) / 2 + number % 2 * _CELL[0]
        _put(pdf, card, left, _TOP + number // 2 * _CELL[1])
    pdf.set_font("Helvetica", size=8)
    advice = (
        "Second Look demo cards. Cut along the dashed lines and hold one in front of the camera."
    )
    pdf.text((width - pdf.get_string_width(advice)) / 2, height - 6, advice)


def _put(pdf: FPDF, card: Card, left: float, top: float) -> None:
    """Draw a card with its cut lines in a place of the page, and its name below."""
    tall = _WIDE_HEIGHT if card.width > 1 else _TALL_HEIGHT
    wide = tall * card.width
    x = left + (_CELL[0] - wide) / 2
    with pdf.local_context(stroke_cap_style="round", stroke_join_style="round"):
        for shape in (*card.outline(), *card.shapes):
            _draw(pdf, shape, x, top, tall)
    pdf.set_draw_color(*_CUT)
    pdf.set_line_width(0.2)
    pdf.set_dash_pattern(dash=2, gap=1.5)
    pdf.rect(x, top, wide, tall)
    pdf.set_dash_pattern()
    pdf.set_font("Helvetica", size=8)
    name = f"{card.name.replace('_', ' ')}: {card.label}"
    pdf.text(left + (_CELL[0] - pdf.get_string_width(name)) / 2, top + tall + 4, name)


def _draw(pdf: FPDF, shape: Shape, left: float, top: float, scale: float) -> None:
    points = [(left + x * scale, top + y * scale) for x, y in shape.points]
    if shape.stroke:
        pdf.set_draw_color(*shape.colour)
        pdf.set_line_width(shape.stroke * scale)
        pdf.polyline(points)
    else:
        pdf.set_fill_color(*shape.colour)
        pdf.polygon(points, style="F")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs"), show_default=True)
def main(out: Path) -> None:
    """Write cards-a4.pdf, cards-letter.pdf and cards.html."""
    out.mkdir(parents=True, exist_ok=True)
    for paper in FORMATS:
        path = out / f"cards-{paper}.pdf"
        path.write_bytes(sheet(paper))
        click.echo(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    path = out / "cards.html"
    path.write_text(page(), encoding="utf-8")
    click.echo(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
