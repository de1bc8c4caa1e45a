import pytest

from secondlook.local.truth import Truth
from tests.training.evaluate.recorded import HERE, THERE, box, episode, thing
from training.evaluate.matching import BACKGROUND, Alarm, Things, match

GUNS = ["small_gun", "big_gun"]


def things(*episodes, others=()):
    return Things(
        Truth.model_validate(
            {"fps": 10, "frames": 300, "episodes": list(episodes), "others": list(others)}
        )
    )


def by_time(*episodes):
    return things(*({k: v for k, v in e.items() if k != "boxes"} for e in episodes))


def alarm(label, at_s, at=HERE, name="a"):
    return Alarm(name, label, at_s, at_s, box(at))


@pytest.mark.parametrize(
    ("at_s", "where", "label"),
    [
        pytest.param(1.0, HERE, "small_gun", id="on-it"),
        pytest.param(1.04, (90, 95, 210, 190), "small_gun", id="roughly-on-it"),
        pytest.param(1.0, (140, 140, 160, 160), "small_gun", id="a-part-of-it"),
        pytest.param(1.0, (20, 100, 170, 200), "small_gun", id="much-of-it-off-centre"),
        pytest.param(1.0, THERE, BACKGROUND, id="elsewhere"),
        pytest.param(1.0, (190, 190, 290, 290), BACKGROUND, id="a-corner-of-it"),
        pytest.param(3.0, HERE, BACKGROUND, id="before-it-comes"),
        pytest.param(2.04, HERE, "small_gun", id="its-last-frame"),
        pytest.param(2.06, HERE, BACKGROUND, id="the-frame-after"),
    ],
)
def test_a_crop_shows_what_its_box_lies_on(at_s, where, label):
    known = things(episode("small_gun", 10, 20), episode("phone", 40, 50))

    assert known.shown(at_s, box(where)).label == label


def test_of_two_things_a_crop_shows_the_one_it_overlaps_more():
    left, right = (100, 100, 200, 200), (150, 100, 250, 200)
    known = things(episode("small_gun", 0, 9, left), episode("phone", 0, 9, right))

    assert known.shown(0.5, box((105, 100, 205, 200))).label == "small_gun"
    assert known.shown(0.5, box((145, 100, 245, 200))).label == "phone"


def test_a_crop_of_something_never_well_in_view_shows_that():
    known = things(episode("small_gun", 0, 9), others=[thing("phone", 0, 9, THERE)])

    assert known.shown(0.5, box(THERE)).label == "phone"
    assert known.shown(0.5, box(THERE)).thing == 1


@pytest.mark.parametrize(
    ("at_s", "label"),
    [(1.0, "small_gun"), (0.6, "small_gun"), (0.4, BACKGROUND), (2.4, None), (3.2, "phone")],
)
def test_without_boxes_time_alone_tells_what_a_crop_shows(at_s, label):
    known = by_time(episode("small_gun", 10, 20), episode("phone", 25, 30))

    assert known.shown(at_s, box(THERE)).label == label


def test_an_alarm_on_its_episode_finds_it():
    found = match(things(episode("small_gun", 10, 20)), [alarm("small_gun", 1.2)], GUNS)

    assert len(found.outcomes[0].alarms) == 1
    assert found.false == ()


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(alarm("small_gun", 1.2, THERE), id="elsewhere"),
        pytest.param(alarm("small_gun", 9.0), id="at-another-time"),
        pytest.param(alarm("small_gun", 4.5), id="on-a-phone"),
    ],
)
def test_an_alarm_about_nothing_that_alerts_is_false(wrong):
    known = things(episode("small_gun", 10, 20), episode("phone", 40, 50))

    found = match(known, [wrong], GUNS)

    assert found.false == (wrong,)
    assert found.outcomes[0].alarms == ()


def test_a_second_alarm_of_an_episode_is_counted_with_it_and_is_not_false():
    two = [alarm("small_gun", 1.1, name="a"), alarm("small_gun", 1.9, name="b")]

    found = match(things(episode("small_gun", 10, 20)), two, GUNS)

    assert [each.id for each in found.outcomes[0].alarms] == ["a", "b"]
    assert found.false == ()


def test_another_alert_label_is_mislabelled_and_does_not_find_the_episode():
    found = match(things(episode("small_gun", 10, 20)), [alarm("big_gun", 1.2)], GUNS)

    assert found.outcomes[0].alarms == ()
    assert len(found.outcomes[0].mislabelled) == 1
    assert found.false == ()


def test_a_single_stage_knows_no_labels():
    found = match(things(episode("small_gun", 10, 20)), [alarm("find", 1.2)], GUNS, blind=True)

    assert len(found.outcomes[0].alarms) == 1


def test_episodes_side_by_side_get_each_its_own_alarm():
    known = things(episode("small_gun", 10, 20), episode("small_gun", 10, 20, THERE))

    found = match(known, [alarm("small_gun", 1.2, THERE), alarm("small_gun", 1.3)], GUNS)

    assert [len(each.alarms) for each in found.outcomes] == [1, 1]


def test_an_alarm_on_a_gun_that_is_never_well_in_view_is_neither_right_nor_false():
    known = things(episode("big_gun", 30, 40), others=[thing("small_gun", 10, 20)])

    found = match(known, [alarm("small_gun", 1.2)], GUNS)

    assert found.false == ()
    assert len(found.others) == 1
    assert found.outcomes[0].alarms == ()


def test_look_alikes_are_no_episodes_to_be_found():
    assert match(things(episode("phone", 10, 20)), [], GUNS).outcomes == ()


@pytest.mark.parametrize(("at_s", "found"), [(0.5, 1), (0.4, 0), (3.5, 1), (3.6, 0)])
def test_without_boxes_the_edges_are_forgiving_by_a_little(at_s, found):
    known = by_time(episode("small_gun", 10, 20))

    got = match(known, [alarm("small_gun", at_s)], GUNS)

    assert len(got.outcomes[0].alarms) == found
    assert len(got.false) == 1 - found
