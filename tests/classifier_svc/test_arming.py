"""A camera is disarmed and armed again: what ends, and which looks count from then on."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_svc.judge import Effect, Gap
from tests.classifier_svc.scene import HERE, START, THERE, Scene, look, ns
from tests.classifier_svc.test_invariants import HISTORIES, play

HOUR = 3600.0


def disarm(scene: Scene, at: float) -> list[str]:
    return scene._note(scene.judge.disarm(START + ns(at)))


def arm(scene: Scene, at: float) -> None:
    assert scene._note(scene.judge.arm(START + ns(at))) == []


def test_disarming_ends_what_is_open() -> None:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    scene.looks((0, "b"), (0.2, "b"), track="2", where=THERE)
    scene.silent(*(look(at, "u", track="3", classifier=None) for at in (0, 0.2)))
    assert sorted(disarm(scene, 1)) == [
        "end big_gun disarmed",
        "end small_gun disarmed",
        "end unverified disarmed",
    ]
    assert {change.episode.ended_ns for change in scene.changes[3:]} == {START + ns(1)}
    assert scene.judge.open_labels() == frozenset()
    scene.check()


def test_a_disarmed_camera_raises_nothing_and_is_not_urgent() -> None:
    scene = Scene()
    disarm(scene, 0)
    assert scene.looks((0.1, "s"), (0.3, "s"), (0.5, "s"), (0.7, "b")) == []
    assert scene.looks((0.1, "r"), (0.3, "r"), track="2") == []
    assert scene.silent(*(look(at, "u", track="3", classifier=None) for at in (1, 1.2))) == []
    assert scene.ended(2) == []
    assert not scene.judge.is_urgent("yard-1")


def test_blind_time_is_told_of_a_disarmed_camera() -> None:
    scene = Scene()
    scene.watch(0, 2)
    disarm(scene, 2)
    assert scene.seen(10) == ["blind 8 s"]


def test_looks_from_before_the_arming_never_count() -> None:
    scene = Scene()
    scene.seen(0)
    scene.look(0.1, "s")
    disarm(scene, 0.5)
    scene.look(0.6, "s")
    arm(scene, 1)
    assert scene.looks((0.2, "s"), (0.4, "s"), (0.7, "s"), (0.8, "s"), (0.95, "s")) == []
    assert scene.look(1.1, "s") == [], "one look is not two"
    assert scene.look(1.3, "s") == ["new small_gun"]


def test_crops_from_before_the_arming_do_not_pass_unverified() -> None:
    scene = Scene()
    disarm(scene, 0)
    arm(scene, 10)
    early = [look(at, "u", classifier=None) for at in (9, 9.5, 10.1)]
    assert scene.silent(*early) == []
    assert scene.silent(*early, look(10.3, "u", classifier=None)) == ["new unverified"]


def test_what_is_still_there_after_arming_is_a_new_episode() -> None:
    scene = Scene(cooldown_s=30)
    scene.looks((0, "s"), (0.2, "s"))
    disarm(scene, 1)
    arm(scene, 2)
    assert scene.looks((2.1, "s"), (2.3, "s"), where=HERE) == ["new small_gun"]
    ids = {change.episode.id for change in scene.changes}
    assert len(ids) == 2
    scene.check()


def test_a_restart_knows_from_when_on_looks_count() -> None:
    scene = Scene()
    scene.seen(0)
    scene.looks((0, "s"), (0.2, "s"))
    disarm(scene, 1)
    arm(scene, 2)
    scene.restart()
    assert not scene.judge.memory.tracks
    assert not scene.judge.memory.episodes
    assert scene.looks((1.5, "s"), (1.9, "s")) == []
    assert scene.looks((2.1, "s"), (2.3, "s")) == ["new small_gun"]


@pytest.mark.parametrize("jump_s", [HOUR, -HOUR, 60.0, -60.0, 500 * 24 * HOUR])
def test_a_clock_that_is_set_after_the_arming_hides_nothing_on_the_same_run(
    jump_s: float,
) -> None:
    scene = Scene()
    scene.watch(0, 9)
    disarm(scene, 9)
    arm(scene, 10)
    assert scene.looks((9.1, "s"), (9.9, "s"), offset=jump_s) == []
    assert scene.looks((10.1, "s"), (10.3, "s"), offset=jump_s) == ["new small_gun"]


@pytest.mark.parametrize("jump_s", [-HOUR, -400.0])
def test_a_clock_that_is_set_back_hides_no_new_run(jump_s: float) -> None:
    scene = Scene()
    scene.watch(0, 9)
    disarm(scene, 9)
    arm(scene, 10)
    assert scene.looks((10.1, "s"), (10.3, "s"), run="r2", offset=jump_s) == ["new small_gun"]


def test_looks_of_an_earlier_run_go_by_the_wall_clock() -> None:
    scene = Scene()
    scene.watch(0, 9)
    disarm(scene, 9)
    scene.watch(0, 2, run="r2", offset=10)
    arm(scene, 13)
    assert scene.looks((9.2, "s"), (9.4, "s")) == []
    assert scene.looks((3.1, "s"), (3.3, "s"), run="r2", offset=10) == ["new small_gun"]


def test_a_lower_score_and_another_cooldown_hold_from_the_next_look_on() -> None:
    scene = Scene(cooldown_s=30)
    scene.looks((0, "s"), (0.2, "s"))
    scene.watch(1, 9)
    scene.judge.rule = scene.rule.model_copy(update={"cooldown_s": 0.0})
    told = scene.looks((10, "s"), (10.2, "s"), track="2")
    assert told == ["new small_gun"], "no cooldown: the same place alerts again"


class Switched:
    """A scene that is disarmed and armed between the steps of a history."""

    def __init__(self, switches: set[int]) -> None:
        self.scene = Scene()
        self.switches = switches
        self.at = 0.0
        self.armed_at = float("-inf")

    def play(self, number: int, step: tuple[Any, ...]) -> list[Effect]:
        """Do a step, switched before it where that is its turn; return what followed the step."""
        judge = self.scene.judge
        if step[0] in ("look", "seen", "ended", "silent"):
            self.at = max(self.at, step[1] / 10)
        if number in self.switches and judge.armed:
            disarm(self.scene, self.at)
        elif number in self.switches:
            arm(self.scene, self.at)
            self.armed_at = self.at
        armed = judge.armed
        told = play(self.scene, step)
        self.scene.judge.armed = armed  # a restart finds it among the settings
        return told


SWITCHES = st.sets(st.integers(0, 59), max_size=8)


@settings(max_examples=200, deadline=None)
@given(steps=HISTORIES, switches=SWITCHES)
def test_of_a_disarmed_camera_nothing_is_told_but_blind_time(
    steps: list[tuple[Any, ...]], switches: set[int]
) -> None:
    switched = Switched(switches)
    for number, step in enumerate(steps):
        told = switched.play(number, step)
        assert switched.scene.judge.armed or all(isinstance(effect, Gap) for effect in told)
        assert switched.scene.judge.armed or not switched.scene.judge.open_labels()
    switched.scene.check()


@settings(max_examples=200, deadline=None)
@given(steps=HISTORIES, switches=SWITCHES)
def test_no_episode_begins_before_its_camera_was_armed(
    steps: list[tuple[Any, ...]], switches: set[int]
) -> None:
    switched = Switched(switches)
    for number, step in enumerate(steps):
        before = len(switched.scene.changes)
        switched.play(number, step)
        for change in switched.scene.changes[before:]:
            began_s = (change.episode.started_ns - START) / 1e9
            assert change.event != "new" or began_s >= switched.armed_at
