import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_a_truth_may_say_where_things_are_and_what_is_never_well_in_view() -> None:
    where = {"label": "small_gun", "start_s": 0, "end_s": 1, "boxes": [[0, 1, 2, 30.5, 40]]}
    other = {"label": "phone", "boxes": [[3, 0, 0, 9, 9]]}

    truth = Truth.model_validate({"fps": 10, "frames": 9, "episodes": [where], "others": [other]})

    assert truth.has_boxes
    assert truth.episodes[0].boxes == ((0, 1, 2, 30.5, 40),)
    assert truth.others[0].label == "phone"
    assert not TRUTH.has_boxes


def test_an_episode_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="end_s 1 comes before start_s 2"):
        Truth.model_validate(
            {"fps": 1, "frames": 9, "episodes": [{"label": "a", "start_s": 2, "end_s": 1}]}
        )


def test_the_demo_clip_has_a_valid_truth() -> None:
    demo = Truth.read(Path(__file__).parents[3] / "producers" / "demo" / "demo.json")

    assert [e.label for e in demo.episodes if e.label in GUNS] == [
        "small_gun",
        "big_gun",
        "small_gun",
        "big_gun",
    ]


def test_an_unreadable_truth_is_named_with_its_mistake(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"fps": 10, "frames": 10, "episodes": [{"label": "phone"}]}))

    with pytest.raises(ConfigError, match=r"truth\.json is no ground truth: episodes\.0\.start_s"):
        Truth.read(path)
    with pytest.raises(ConfigError, match="No such file"):
        Truth.read(tmp_path / "none.json")


@given(
    st.lists(
        st.tuples(st.sampled_from(["small_gun", "big_gun", "phone"]), st.floats(0, 30)),
        max_size=12,
    )
)
def test_every_alert_is_about_one_episode_or_unexpected(came: list[tuple[str, float]]) -> None:
    raised = [Raised(f"a{n}", label, at, at + 0.2) for n, (label, at) in enumerate(came)]
    judgement = judge(TRUTH, GUNS, raised)
    given = [outcome.raised for outcome in judgement.outcomes if outcome.raised]
    assert sorted(r.id for r in [*given, *judgement.unexpected]) == sorted(r.id for r in raised)
    assert len(judgement.outcomes) == 2
    assert all(o.raised is None or o.raised.label == o.episode.label for o in judgement.outcomes)
