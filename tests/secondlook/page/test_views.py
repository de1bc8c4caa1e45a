"""What the browser gets of a message: JSON, whatever the message holds."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from secondlook.messages import Box, Classified, FrameFacts
from secondlook.page.views import MOST_SCORES, alert_view, box_view, look_view, scores_view
from secondlook.samples import FACTS
from tests.secondlook.page.said import alert, frame, verdict

sides = st.tuples(st.integers(0, 4000), st.integers(1, 4000))


@given(sides, sides, st.integers(0, 65_535), st.integers(0, 65_535))
def test_a_box_is_said_in_fractions_of_its_frame(
    across: tuple[int, int], down: tuple[int, int], width: int, height: int
) -> None:
    box = Box(x1=across[0], x2=sum(across), y1=down[0], y2=sum(down))
    facts = FrameFacts(id=FACTS.id, width=width, height=height, captured_at=FACTS.captured_at)

    said: Any = box_view(box, facts)

    assert all(isinstance(part, float) and part >= 0 for part in said)
    if sum(across) <= width and sum(down) <= height:
        assert said[0] + said[2] <= 1.001
        assert said[1] + said[3] <= 1.001


@given(st.dictionaries(st.text(max_size=20), st.floats(0, 1), max_size=20))
def test_the_best_scores_are_said_the_best_first(scores: dict[str, float]) -> None:
    said: Any = scores_view(Classified(model="m", version="1", scores=scores))

    assert len(said) == min(len(scores), MOST_SCORES)
    numbers = [score for _, score in said]
    assert numbers == sorted(numbers, reverse=True)


@given(st.text(max_size=50), st.floats(0, 1), st.booleans())
def test_any_alert_and_any_look_is_plain_json(text: str, score: float, shown: bool) -> None:
    detector = {"model": text, "version": text, "label": text, "score": score}
    views = [
        alert_view(alert(score=score, detector=detector), picture=shown, truth=None),
        look_view(verdict(frame(0), label=text, reason=text, detector=detector)),
    ]

    for view in views:
        assert json.loads(json.dumps(view, allow_nan=False)) == view
