"""The wall clock is set, or the machine slept: episodes go by the time that was seen."""

import pytest

from tests.classifier_svc.scene import Scene

HOUR = 3600.0
JUMPS = [3 * HOUR, -3 * HOUR, 400 * 24 * HOUR, -70.0, 4.0]


def story(jump_s: float, jump_at: float) -> list[tuple[float, str]]:
    """A thing is seen for eight seconds, is gone, and comes back; the clock is set in between."""
    scene = Scene(gap_s=3.0, cooldown_s=30.0)
    told = []
    for tenth in range(320):
        at = tenth / 10
        offset = jump_s if at >= jump_at else 0.0
        if (at < 8 and tenth % 10 in (0, 3)) or (20 <= at < 23 and tenth % 5 == 0):
            told += [(at, line) for line in scene.look(at, "s", offset=offset)]
        if tenth % 10 == 5:
            told += [(at, line) for line in scene.seen(at, offset=offset)]
    scene.check()
    for change in scene.changes:
        episode = change.episode
        assert episode.ended_ns is None or episode.ended_ns >= episode.started_ns
    return told


@pytest.mark.parametrize("jump_s", JUMPS)
@pytest.mark.parametrize(
    "jump_at",
    [
        pytest.param(0.2, id="between-two-looks"),
        pytest.param(4.0, id="while-it-is-seen"),
        pytest.param(9.0, id="while-it-is-gone"),
        pytest.param(16.0, id="in-the-cooldown"),
    ],
)
def test_a_clock_that_is_set_changes_nothing(jump_s: float, jump_at: float) -> None:
    assert story(jump_s, jump_at) == story(0.0, 0.0)


def test_the_story_is_one_episode_that_ends_and_is_opened_again() -> None:
    words = [line for _, line in story(0.0, 0.0) if not line.startswith("update small_gun~")]
    assert [w for w in words if w != "update small_gun"] == [
        "new small_gun",
        "end small_gun gone",
        "update small_gun reopened",
        "end small_gun gone",
    ]


@pytest.mark.parametrize("jump_s", [3 * HOUR, -3 * HOUR])
def test_a_clock_that_is_set_between_two_runs_ends_no_episode_of_what_is_still_there(
    jump_s: float,
) -> None:
    scene = Scene(gap_s=3.0)
    scene.looks((0.0, "s"), (0.3, "s"))
    scene.watch(1, 2)
    # The camera was opened again: another run, whose media time begins anew.
    told = scene.watch(0, 1, run="r2", offset=jump_s + 4)
    told += [(2, line) for line in scene.look(1.5, "s", run="r2", track="2", offset=jump_s + 4)]
    assert not [line for _, line in told if line.startswith("end")]
    scene.check()
