"""A page that shows the cards on a phone's screen, one at a time. Vector data in, HTML out."""

from collections.abc import Sequence
from itertools import zip_longest

from producers.cards import CARDS, LABELS, Card
from producers.drawing import Shape

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<title>Second Look: demo cards</title>
<!-- Made by `python -m training.cards.sheet`: change the drawings, not this file. -->
<style>
  * { box-sizing: border-box; margin: 0 }
  html, body { height: 100%; overflow: hidden; background: #101012; color: #9a9aa2;
    font: 14px/1.2 system-ui, sans-serif; touch-action: pan-y; user-select: none;
    -webkit-user-select: none }
  body { display: flex; flex-direction: column; height: 100dvh; cursor: pointer }
  main { flex: 1; min-height: 0; position: relative }
  main svg { position: absolute; inset: 0; width: 100%; height: 100%; visibility: hidden }
  main svg.shown { visibility: visible }
  footer { display: flex; align-items: center; gap: 12px; padding: 6px 12px;
    padding-bottom: max(6px, env(safe-area-inset-bottom)) }
  footer output { flex: 1; white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
  button { background: none; border: 1px solid #55555c; border-radius: 6px; color: inherit;
    font: inherit; padding: 8px 14px; cursor: pointer }
  button:focus-visible { outline: 2px solid #c8c8d0 }
</style>
</head>
<body>
<main>
@CARDS@
</main>
<footer>
  <button id="back" aria-label="previous card">&#8249;</button>
  <output aria-live="polite"></output>
  <button id="full" aria-label="full screen">&#9974;</button>
  <button id="next" aria-label="next card">&#8250;</button>
</footer>
<script>
  const cards = [...document.querySelectorAll("main svg")];
  const output = document.querySelector("output");
  let at = Math.max(0, cards.findIndex((card) => "#" + card.id === location.hash));
  let from = null;

  function show(step) {
    cards[at].classList.remove("shown");
    at = (at + step + cards.length) % cards.length;
    cards[at].classList.add("shown");
    output.textContent = cards[at].dataset.label + " \\u00b7 " + cards[at].dataset.name
      + " \\u00b7 " + (at + 1) + "/" + cards.length;
    history.replaceState(null, "", "#" + cards[at].id);
  }
  function full() {
    const root = document.documentElement;
    if (document.fullscreenElement) document.exitFullscreen();
    else if (root.requestFullscreen) root.requestFullscreen();
  }

  document.querySelector("#back").addEventListener("click", () => show(-1));
  document.querySelector("#next").addEventListener("click", () => show(1));
  const button = document.querySelector("#full");
  button.addEventListener("click", full);
  button.hidden = !document.documentElement.requestFullscreen;
  document.querySelector("main").addEventListener("pointerdown", (e) => { from = e.clientX; });
  document.querySelector("main").addEventListener("pointerup", (e) => {
    if (from === null) return;
    const way = e.clientX - from;
    from = null;
    if (Math.abs(way) > 40) show(way < 0 ? 1 : -1);
    else show(e.clientX < innerWidth / 4 ? -1 : 1);
  });
  addEventListener("keydown", (e) => {
    if (e.key === "ArrowRight" || e.key === "ArrowDown" || e.key === " ") show(1);
    else if (e.key === "ArrowLeft" || e.key === "ArrowUp") show(-1);
    else if (e.key === "f") full();
    else return;
    e.preventDefault();
  });
  show(0);
</script>
</body>
</html>
"""


def mixed(cards: Sequence[Card] = CARDS) -> list[Card]:
    """Return the cards in an order in which neighbours show different labels."""
    rows = [[card for card in cards if card.label == label] for label in LABELS]
    return [card for turn in zip_longest(*rows) for card in turn if card is not None]


def page() -> str:
    """Return the page: every card as inline SVG, nothing loaded from elsewhere."""
    return _PAGE.replace("@CARDS@", "\n".join(_svg(card) for card in mixed()))


def _svg(card: Card) -> str:
    shapes = "".join(_element(shape) for shape in (*card.outline(), *card.shapes))
    shown = card.name.replace("_", " ")
    return (
        f'<svg id="{card.name}" data-label="{card.label}" data-name="{shown}" role="img" '
        f'aria-label="{shown}" viewBox="0 0 {_number(card.width)} 1" stroke-linecap="round" '
        f'stroke-linejoin="round">{shapes}</svg>'
    )


def _element(shape: Shape) -> str:
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in shape.points)
    tone = "#{:02x}{:02x}{:02x}".format(*shape.colour)
    if shape.stroke:
        look = f'fill="none" stroke="{tone}" stroke-width="{_number(shape.stroke)}"'
        return f'<polyline points="{points}" {look}/>'
    return f'<polygon points="{points}" fill="{tone}"/>'


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
