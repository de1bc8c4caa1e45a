import pytest

from secondlook.config import Alerts
from tests.training.evaluate.recorded import THERE, Recording, episode
from training.evaluate.measures import measure
from training.evaluate.replay import Setting, arrived, openings, prepare, replay, same

RULE = Alerts()


def raised(run, rule=RULE, *, how=replay, **setting):
    (clip,) = run.clips.values()
    return [
        (alarm.label, alarm.decided_s)
        for alarm in how(prepare(clip, 1.0), Setting(rule, **setting), run.started.parameters)
    ]


def gun_run(*scores, label="small_gun", **more):
    recording = Recording().clip()
    for index, score in enumerate(scores):
        recording.look(10 + index, label, score, **more)
    return recording.run()


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([0.9], [], id="one-look-is-not-enough"),
        pytest.param([0.9, 0.9], [("small_gun", 1.1)], id="two-are"),
        pytest.param([0.9, 0.5, 0.9], [("small_gun", 1.2)], id="two-of-three"),
        pytest.param([0.9, 0.5, 0.5, 0.9], [], id="two-of-four-are-not"),
        pytest.param([0.9, 0.9, 0.9, 0.9], [("small_gun", 1.1)], id="only-one-new-alert"),
    ],
)
def test_a_replay_follows_the_rule(scores, expected):
    assert raised(gun_run(*scores)) == expected


@pytest.mark.parametrize(("confirm_score", "count"), [(0.8, 0), (0.7, 0), (0.6, 1), (0.55, 1)])
def test_a_lower_confirm_score_lets_more_through(confirm_score, count):
    run = gun_run(0.65, 0.6)

    assert len(raised(run, Alerts(confirm_score=confirm_score))) == count


@pytest.mark.parametrize(
    ("k", "n", "count"), [(1, 1, 1), (2, 2, 0), (1, 2, 1), (2, 3, 1), (3, 3, 0)]
)
def test_other_rules_can_be_tried(k, n, count):
    run = gun_run(0.9, 0.3, 0.9)

    assert len(raised(run, Alerts(k=k, n=n))) == count


@pytest.mark.parametrize(("min_score", "count"), [(0.0, 1), (0.6, 1), (0.61, 0)])
def test_finds_below_the_detectors_threshold_are_left_out(min_score, count):
    run = gun_run(0.9, 0.9, found=0.6)

    assert len(raised(run, min_score=min_score)) == count


def test_a_single_stage_alerts_on_everything_that_is_found():
    run = gun_run(0.99, 0.99, label="phone")

    assert raised(run) == []
    assert raised(run, one_stage=True) == [("find", 1.1)]


def test_a_gun_where_a_phone_was_is_found_by_a_single_stage_though_it_is_no_new_alert():
    recording = Recording().clip(100)
    for index in (10, 11):
        recording.look(index, "phone", 0.99, track="t1")
    recording.track_ended(25, "t1")
    for index in (40, 41):
        recording.look(index, "small_gun", 0.99, track="t2")
    run = recording.run()

    assert raised(run, one_stage=True) == [("find", 1.1)]
    assert [at for _, at in raised(run, one_stage=True, how=openings)] == [1.1, 4.1]


def test_two_things_side_by_side_are_two_alerts():
    recording = Recording().clip()
    for index in (10, 11):
        recording.look(index, "small_gun", 0.9, track="t1")
        recording.look(index, "small_gun", 0.9, track="t2", at=THERE)

    assert len(raised(recording.run())) == 2


def test_what_arrived_is_compared_with_a_replay_of_the_thresholds_in_force():
    recording = Recording().clip(truth={"episodes": [episode("small_gun", 10, 20)]})
    recording.look(10, "small_gun", 0.9).look(11, "small_gun", 0.95).alert(11, "small_gun")
    run = recording.run()
    (clip,) = run.clips.values()
    again = replay(prepare(clip, 1.0), Setting(RULE), run.started.parameters)

    assert same(arrived(clip, again), again)
    assert measure(run).replay_agrees.value == 1
    assert not same(arrived(clip, again), [])


def test_the_look_that_decided_is_known_where_another_one_is_shown():
    recording = Recording().clip().look(10, "small_gun", 0.95).look(11, "small_gun", 0.9)
    run = recording.alert(10, "small_gun").run()
    (clip,) = run.clips.values()

    (alarm,) = arrived(clip, replay(prepare(clip, 1.0), Setting(RULE), run.started.parameters))

    assert (alarm.at_s, alarm.decided_s) == (1.0, 1.1)
