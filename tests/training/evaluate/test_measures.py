import pytest

from secondlook.evaluation.record import Marked
from tests.training.evaluate.recorded import THERE, Recording, episode
from training.evaluate.measures import confusion, figures, frames, kept, losses, measure, removal
from training.evaluate.statistics import Share
from training.evaluate.sweeps import by_confirm_score, by_detector_score, by_rule

TRUTH = {
    "episodes": [
        episode("small_gun", 10, 20),
        episode("big_gun", 30, 40, THERE),
        episode("phone", 10, 20, THERE),
    ]
}


def recording(**more):
    """One gun is found, the other is not; a phone is rejected; the background gets one look."""
    made = Recording(**more).clip(truth=TRUTH)
    for index in (10, 11, 12):
        made.look(index, "small_gun", 0.95, track="gun")
        made.look(index, "phone", 0.9, track="phone", at=THERE)
    made.look(12, "small_gun", 0.85, track="wall", at=(0, 0, 50, 50), found=0.3)
    for index in (31, 32):
        made.look(index, "phone", 0.7, track="missed", at=THERE)
    return made.alert(11, "small_gun", after_s=0.25)


def test_every_figure_comes_with_its_counts():
    measures = measure(recording().run())
    found = figures(measures)

    assert (found["episodes"], found["found"], found["missed"]) == (2, 1, 1)
    assert found["recall"] == 0.5
    assert found["false_alarms"] == 0
    assert found["new_per_episode"] == 1.0
    assert (removal(measures).part, removal(measures).whole) == (3, 4)
    assert (kept(measures).part, kept(measures).whole) == (3, 5)
    assert found["hours"] == pytest.approx(5 / 3600)


def test_what_one_stage_finds_and_two_do_not_is_lost_to_the_second_look():
    lost = losses(measure(recording().run()))

    assert (lost.part, lost.whole) == (1, 2)


def test_a_single_stage_raises_false_alarms_on_look_alikes():
    found = figures(measure(recording().run()))

    assert found["one_stage_false_alarms"] == 1
    assert found["one_stage_found"] == 2


@pytest.mark.parametrize(("mode", "delay_s"), [("realtime", 0.35), ("fast", None)])
def test_the_alarm_delay_counts_from_the_episodes_start_to_the_subscribers_hand(mode, delay_s):
    found = figures(measure(recording(mode=mode).run()))

    assert found["delay_p50_s"] == (None if delay_s is None else pytest.approx(delay_s))
    assert found["decision_p50_s"] == pytest.approx(0.1)


def test_an_episode_that_is_opened_again_is_found_but_is_no_new_alert():
    again = recording().alert(31, "big_gun", at=THERE, number=1, reopened=True)
    measures = measure(again.run())
    found = figures(measures)

    assert (found["found"], found["found_by_reopening"], found["missed"]) == (2, 1, 0)
    assert found["new_per_episode"] == 1.0
    assert losses(measures).part == 0


def test_an_episode_opened_again_elsewhere_finds_nothing():
    found = figures(measure(recording().alert(31, "big_gun", number=1, reopened=True).run()))

    assert (found["found"], found["found_by_reopening"]) == (1, 0)


def test_a_false_alarm_is_counted_per_hour():
    found = figures(measure(recording().alert(45, "big_gun", number=1).run()))

    assert found["false_alarms"] == 1
    assert found["false_alarms_per_hour"] == pytest.approx(720)


def test_a_second_alert_of_an_episode_is_counted_with_it():
    found = figures(measure(recording().alert(15, "small_gun", number=1).run()))

    assert found["new_per_episode"] == 2.0
    assert found["false_alarms"] == 0


def test_frames_that_nobody_looked_at_are_lost():
    whole = recording()
    assert frames(measure(whole.run())) == Share(0, 50)
    last = next(line for line in reversed(whole.lines) if isinstance(line, Marked))
    whole.lines.remove(last)

    assert frames(measure(whole.run())) == Share(1, 50)


def test_in_real_time_the_services_count_what_was_lost():
    run = recording(mode="realtime").run(lost={"detector: overwritten": 7})

    assert frames(measure(run)) == Share(7, 50)


def test_the_confusion_has_a_row_for_the_background():
    table = confusion(measure(recording().run()).seen)

    assert table["small_gun"]["small_gun"] == 3
    assert table["background"]["small_gun"] == 1
    assert table["background"]["=confirmed"] == 1
    assert table["big_gun"]["phone"] == 2


def test_looks_with_several_things_in_view_are_left_out_where_only_the_time_is_known():
    when = [{k: v for k, v in e.items() if k != "boxes"} for e in TRUTH["episodes"]]
    made = Recording().clip(truth={"episodes": when})
    made.look(12, "small_gun", 0.9).look(32, "big_gun", 0.9)
    measures = measure(made.run())

    assert measures.unclear == 1
    assert [seen.shown.label for seen in measures.seen] == ["big_gun"]


def test_sweeps_know_what_each_threshold_gives():
    made = Recording(min_score=0.1, operating_point=0.25).clip(truth=TRUTH)
    for index in (10, 11):
        made.look(index, "small_gun", 0.85, track="gun", found=0.2)
        made.look(index + 20, "big_gun", 0.75, track="big", at=THERE, found=0.9)
    measures = measure(made.run())

    by_score = {p.min_score: p.found.part for p in by_detector_score(measures, one_stage=False)}
    alone = {p.min_score: p.found.part for p in by_detector_score(measures, one_stage=True)}
    confirm = {p.confirm_score: p.found.part for p in by_confirm_score(measures)}
    rules = {(p.k, p.n) for p in by_rule(measures)}

    assert min(by_score) == 0.1
    assert (by_score[0.1], by_score[0.25]) == (1, 0)
    assert (alone[0.1], alone[0.25]) == (2, 1)
    assert (confirm[0.7], confirm[0.8]) == (1, 0)  # at the operating point, not below it
    assert rules == {(1, 1), (1, 2), (2, 2), (1, 3), (2, 3), (3, 3)}
