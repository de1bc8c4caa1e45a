import json
from pathlib import Path

import pytest

from secondlook.errors import ConfigError
from secondlook.local.truth import Raised, Truth, judge

TRUTH = Truth.model_validate(
    {
        "fps": 10,
        "frames": 300,
        "episodes": [
            {"label": "small_gun", "start_s": 2.0, "end_s": 6.0},
            {"label": "phone", "start_s": 8.0, "end_s": 12.0},
            {"label": "big_gun", "start_s": 14.0, "end_s": 18.0},
        ],
    }
)
GUNS = ["small_gun", "big_gun"]
SMALL = Raised("demo-a", "small_gun", at_s=2.5, came_s=2.7)
BIG = Raised("demo-b", "big_gun", at_s=14.6, came_s=14.8)


def test_each_episode_alerted_once_with_its_label_is_right() -> None:
    judgement = judge(TRUTH, GUNS, [SMALL, BIG])

    assert judgement.right
    assert [outcome.raised for outcome in judgement.outcomes] == [SMALL, BIG]
    assert judgement.outcomes[0].delay_s == pytest.approx(0.7)


def test_a_missing_alert_is_wrong_and_has_no_delay() -> None:
    judgement = judge(TRUTH, GUNS, [SMALL])

    assert not judgement.right
    assert judgement.outcomes[1].raised is None
    assert judgement.outcomes[1].delay_s is None


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(Raised("demo-c", "small_gun", 3.0, 3.1), id="a-second-one"),
        pytest.param(Raised("demo-c", "small_gun", 9.0, 9.1), id="while-a-phone-is-in-view"),
        pytest.param(Raised("demo-c", "big_gun", 3.0, 3.1), id="another-label"),
        pytest.param(Raised("demo-c", "small_gun", 1.4, 1.5), id="too-early"),
        pytest.param(Raised("demo-c", "small_gun", 7.6, 7.7), id="too-late"),
    ],
)
def test_any_other_alert_is_unexpected(extra: Raised) -> None:
    judgement = judge(TRUTH, GUNS, [SMALL, BIG, extra])

    assert not judgement.right
    assert judgement.unexpected == [extra]


def test_the_edges_of_an_episode_are_forgiving_by_a_little() -> None:
    early = Raised("demo-a", "small_gun", at_s=1.5, came_s=1.6)
    late = Raised("demo-b", "big_gun", at_s=19.5, came_s=19.6)

    assert judge(TRUTH, GUNS, [early, late]).right


def test_a_clip_without_guns_is_right_without_alerts() -> None:
    quiet = Truth(fps=10, frames=10, episodes=[])

    assert judge(quiet, GUNS, []).right
    assert not judge(quiet, GUNS, [SMALL]).right


def test_an_unreadable_truth_is_named_with_its_mistake(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"fps": 10, "frames": 10, "episodes": [{"label": "phone"}]}))

    with pytest.raises(ConfigError, match=r"truth\.json is no ground truth: episodes\.0\.start_s"):
        Truth.read(path)
    with pytest.raises(ConfigError, match="No such file"):
        Truth.read(tmp_path / "none.json")
