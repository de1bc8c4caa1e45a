from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_svc.judge import Rejected
from tests.classifier_svc.scene import HERE, THERE, Scene, look


def waiting(*at: float, track: str = "1", **more: Any) -> list[Any]:
    return [look(a, "u", track=track, classifier=None, **more) for a in at]


def test_a_track_that_came_to_nothing_is_said_to_be_rejected_when_it_ends() -> None:
    scene = Scene()
    assert scene.looks((0, "u"), (0.2, "r"), (0.4, "s")) == []
    assert scene.ended(1) == ["rejected"]
    assert scene.ended(1) == []
    [rejected] = scene.history
    assert isinstance(rejected, Rejected)
    assert rejected.look.label == "phone"


def test_a_track_that_alerted_is_not_rejected() -> None:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    assert scene.ended(1) == []


def test_a_track_without_a_judged_look_ends_in_silence() -> None:
    scene = Scene()
    assert scene.ended(1) == []


def test_a_living_track_is_rejected_at_most_once_a_minute() -> None:
    scene = Scene()
    told = [second for second in range(200) if scene.look(second, "r")]
    assert told == [60, 120, 180]
    assert [effect.first for effect in scene.history] == [True, False, False]  # type: ignore[union-attr]
    assert scene.ended(200) == ["rejected again"]


def test_a_rejected_track_may_still_become_an_episode() -> None:
    scene = Scene()
    scene.looks(*[(second, "r") for second in range(70)])
    assert scene.looks((70, "s"), (70.5, "s")) == ["new small_gun"]


def test_tracks_of_an_earlier_run_end_with_it() -> None:
    scene = Scene()
    scene.seen(0)
    scene.look(0.5, "r")
    assert scene.seen(0, run="r2", offset=5) == ["blind 5 s", "rejected"]
    assert scene.seen(1, run="r2", offset=5) == []


def test_tracks_that_are_never_heard_of_again_are_forgotten() -> None:
    scene = Scene(gap_s=100)
    scene.seen(0)
    scene.look(0.5, "r")
    assert scene.seen(60) == []
    assert scene.seen(61) == ["rejected"]
    assert scene.judge.memory.tracks == {}


def test_the_memory_of_tracks_is_bounded() -> None:
    scene = Scene()
    for number in range(2100):
        scene.look(number / 1000, "r", track=str(number))
    assert len(scene.judge.memory.tracks) == 2000
    assert scene.judge.episode_of("yard-1") is None


def test_new_tracks_and_open_episodes_are_urgent() -> None:
    scene = Scene()
    assert scene.judge.is_urgent("yard-1")
    scene.looks((0, "r"), (0.2, "r"))
    assert scene.judge.is_urgent("yard-1")
    scene.look(0.4, "r")
    assert not scene.judge.is_urgent("yard-1")
    scene.looks((1, "s"), (1.2, "s"))
    assert scene.judge.is_urgent("yard-1")
    scene.watch(0, 10)
    assert not scene.judge.is_urgent("yard-1")


def test_a_silent_model_lets_k_waiting_crops_pass_unverified() -> None:
    scene = Scene()
    assert scene.silent(*waiting(0)) == []
    assert scene.silent(*waiting(0, 0.2)) == ["new unverified"]
    [change] = scene.changes
    assert change.episode.status == "unverified"
    assert change.episode.shown.classifier is None
    assert "not answered for 2.0 s" in change.episode.decision.rule
    assert scene.judge.open_labels() == frozenset()


def test_an_unverified_episode_is_said_once() -> None:
    scene = Scene()
    scene.silent(*waiting(0, 0.2))
    assert scene.silent(*waiting(0, 0.2, 0.4, 1.4)) == []
    assert scene.settle("yard-1") == []


def test_each_track_passes_for_itself() -> None:
    scene = Scene()
    crops = [*waiting(0, 0.2), *waiting(0, 0.2, track="2", where=THERE), *waiting(0, track="3")]
    assert scene.silent(*crops) == ["new unverified", "new unverified"]


def test_a_confirmed_look_and_a_waiting_crop_pass_together() -> None:
    scene = Scene()
    scene.look(0, "s")
    assert scene.silent(*waiting(0.2)) == ["new unverified"]


def test_an_open_episode_needs_nothing_unverified() -> None:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    assert scene.silent(*waiting(0.4, 0.6, 0.8)) == []


def test_an_unverified_episode_is_confirmed_by_what_supersedes_it() -> None:
    scene = Scene()
    scene.silent(*waiting(0, 0.2))
    assert scene.look(0, "s", late=True) == []
    assert scene.look(0.2, "s", late=True) == ["end unverified confirmed", "new small_gun"]
    unverified, new = (change.episode for change in scene.changes[-2:])
    assert new.supersedes == unverified.id
    assert new.late
    assert scene.settle() == []
    scene.check()


def test_an_unverified_episode_is_rejected_once_its_looks_are_judged() -> None:
    scene = Scene()
    scene.silent(*waiting(0, 0.2, 0.4))
    scene.looks((0, "r"), (0.2, "r"))
    assert scene.settle("yard-1") == []
    scene.look(0.4, "r")
    assert scene.settle("yard-2") == ["end unverified rejected"]
    assert scene.settle() == []


def test_an_unverified_track_that_lives_is_given_its_n_looks() -> None:
    scene = Scene()
    scene.silent(*waiting(0, 0.2))
    scene.looks((0, "r"), (0.2, "r"))
    assert scene.settle() == []
    scene.look(1.2, "r")
    assert scene.settle() == ["end unverified rejected"]


def test_an_unverified_track_whose_crops_were_shed_is_gone() -> None:
    scene = Scene()
    scene.silent(*waiting(0, 0.2))
    assert scene.settle(model_up=False) == []
    scene.ended(1)
    assert scene.settle(model_up=False) == ["end unverified gone"]


def test_quiet_time_does_not_end_an_unverified_episode() -> None:
    scene = Scene()
    scene.silent(*waiting(0, 0.2))
    assert scene.watch(0, 20) == []


def test_an_unverified_track_that_was_confirmed_is_not_said_to_be_rejected() -> None:
    scene = Scene()
    scene.silent(*waiting(0, 0.2))
    scene.looks((0, "s"), (0.2, "s"))
    assert scene.ended(1) == []


STEPS = st.one_of(
    st.tuples(
        st.just("look"),
        st.integers(0, 300),
        st.sampled_from("sssbbru"),
        st.sampled_from("123"),
        st.sampled_from([HERE, THERE]),
        st.floats(0.8, 1),
    ),
    st.tuples(st.just("seen"), st.integers(0, 300)),
    st.tuples(st.just("ended"), st.integers(0, 300), st.sampled_from("123")),
    st.tuples(st.just("silent"), st.integers(0, 300), st.sampled_from("123")),
    st.tuples(st.just("settle"), st.booleans()),
    st.tuples(st.just("restart")),
)


def play(scene: Scene, step: tuple[Any, ...]) -> None:
    match step:
        case ("look", at, what, track, where, score):
            scene.look(at / 10, what, track=track, where=where, score=score)
        case ("seen", at):
            scene.seen(at / 10)
        case ("ended", at, track):
            scene.ended(at / 10, track)
        case ("silent", at, track):
            scene.silent(*waiting(at / 10, at / 10 + 0.2, track=track))
        case ("settle", up):
            scene.settle(model_up=up)
        case _:
            scene.restart()


@pytest.mark.parametrize("ordered", [True, False])
@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=60), st.sampled_from([0.0, 3.0, 30.0]))
def test_whatever_happens_every_episode_is_told_in_order(
    ordered: bool, steps: list[tuple[Any, ...]], cooldown_s: float
) -> None:
    scene = Scene(cooldown_s=cooldown_s)
    timed = sorted(steps, key=lambda s: s[1] if len(s) > 1 and not isinstance(s[1], bool) else 0)
    for step in timed if ordered else steps:
        play(scene, step)
    scene.check()
    still_open = {e.label for e in scene.judge.memory.episodes.values() if e.open}
    assert scene.judge.open_labels() == still_open - {"unverified"}


@settings(max_examples=50, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_a_restart_at_any_moment_changes_nothing(steps: list[tuple[Any, ...]]) -> None:
    straight, interrupted = Scene(), Scene()
    for step in steps:
        if step[0] != "restart":
            play(straight, step)
            play(interrupted, step)
            interrupted.restart()
    assert interrupted.history == straight.history
