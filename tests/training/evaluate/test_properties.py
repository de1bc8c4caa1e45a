"""What must hold of the evaluation whatever was recorded: looked for by hypothesis."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.evaluation.record import Judged, Marked, Started
from secondlook.local.truth import Truth
from tests.training.evaluate.recorded import HERE, THERE, Recording, box, episode, thing
from training.evaluate import labelled
from training.evaluate.matching import Alarm, Things, match
from training.evaluate.measures import figures, frames, kept, losses, measure, removal
from training.evaluate.replay import Setting, prepare, replay, same
from training.evaluate.run import assemble
from training.evaluate.statistics import (
    Share,
    average_precision,
    calibration,
    calibration_error,
    precision_recall,
    quantile,
)
from training.evaluate.sweeps import by_confirm_score, by_detector_score, by_rule

GUNS = ("small_gun", "big_gun")
PLACES = st.sampled_from([HERE, THERE, (0, 0, 60, 60)])
LABELS = st.sampled_from(["small_gun", "big_gun", "phone", "empty"])
TRUTH = {
    "episodes": [
        episode("small_gun", 5, 15),
        episode("big_gun", 25, 35, THERE),
        episode("phone", 5, 15, THERE),
    ],
    "others": [thing("big_gun", 20, 40, (0, 0, 60, 60))],
}
LOOKS = st.lists(
    st.tuples(
        st.integers(0, 49), LABELS, st.floats(0.3, 1), PLACES, st.sampled_from("abc"),
        st.floats(0.25, 1),
    ),
    max_size=25,
)  # fmt: skip
ALERTS = st.lists(
    st.tuples(st.integers(0, 49), st.sampled_from(GUNS), PLACES, st.booleans()), max_size=8
)
SCORED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40)


def recording(looks, alerts=()):
    made = Recording().clip(truth=TRUTH)
    for index, label, score, at, track, found in looks:
        made.look(index, label, score, at=at, track=track, found=found)
    for number, (index, label, at, again) in enumerate(alerts):
        made.alert(index, label, at=at, number=number, reopened=again)
    return made


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_share_lies_within_its_bounds(part, more):
    share = Share(part, part + more)
    if share.bounds is not None:
        assert share.value is not None
        low, high = share.bounds
        assert 0 <= low <= share.value + 1e-9
        assert share.value - 1e-9 <= high <= 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_lie_within_the_values_and_grow_with_their_part(values, one, other):
    low, high = (quantile(values, part) for part in sorted((one, other)))
    assert low is not None
    assert high is not None
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= low <= high + slack
    assert high <= max(values) + slack


@given(SCORED)
def test_recall_grows_as_the_threshold_falls(scored):
    curve = precision_recall(scored)
    assert [p.threshold for p in curve] == sorted({p.threshold for p in curve}, reverse=True)
    assert [p.recall for p in curve] == sorted(p.recall for p in curve)
    assert all(0 <= p.precision <= 1 for p in curve)
    if curve:
        assert curve[-1].recall == 1
        assert 0 <= (average_precision(curve) or 0) <= 1 + 1e-9


@given(SCORED, st.integers(1, 20))
def test_every_look_is_in_one_bin_of_the_calibration(scored, count):
    bins = calibration(scored, count)
    assert sum(each.count for each in bins) == len(scored)
    assert all(each.low <= each.score <= each.high + 1e-9 for each in bins)
    assert 0 <= (calibration_error(bins) or 0) <= 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["small_gun", "big_gun"]), st.floats(0, 30), PLACES), max_size=12
    ),
    st.booleans(),
)
def test_every_alarm_is_given_to_one_thing_or_is_false(came, blind):
    things = Things(Truth.model_validate({"fps": 10, "frames": 300} | TRUTH))
    alarms = [
        Alarm(f"a{n}", label, at, at, box(place)) for n, (label, at, place) in enumerate(came)
    ]
    matched = match(things, alarms, GUNS, blind=blind)
    told = [a for o in matched.outcomes for a in (*o.alarms, *o.mislabelled)]
    assert sorted(a.id for a in [*told, *matched.false, *matched.others]) == sorted(
        a.id for a in alarms
    )
    assert [o.episode.label for o in matched.outcomes] == ["small_gun", "big_gun"]
    assert blind or all(a.label == o.episode.label for o in matched.outcomes for a in o.alarms)


@settings(max_examples=40, deadline=None)
@given(LOOKS, ALERTS)
def test_the_figures_add_up(looks, alerts):
    measures = measure(recording(looks, alerts).run())
    found: dict[str, Any] = dict(figures(measures))
    assert found["found"] + found["missed"] == found["episodes"] == 2
    assert found["confirmed"] + found["rejected"] + found["uncertain"] == found["crops"]
    assert found["crops"] == len(looks)
    assert removal(measures).whole + kept(measures).whole == len(measures.seen)
    for share in (removal(measures), kept(measures), losses(measures), frames(measures)):
        assert 0 <= share.part <= share.whole


@settings(max_examples=30, deadline=None)
@given(LOOKS)
def test_a_replay_says_the_same_again_and_every_point_of_a_sweep_counts_all_episodes(looks):
    run = recording(looks).run()
    (clip,) = run.clips.values()
    evidence, setting = prepare(clip, 1.0), Setting(run.started.alerts)
    once = replay(evidence, setting, run.started.parameters)
    assert same(once, replay(evidence, setting, run.started.parameters))
    assert all(alarm.label in GUNS for alarm in once)
    measures = measure(run)
    by_score = by_detector_score(measures, one_stage=False)
    assert [p.crops for p in by_score] == sorted((p.crops for p in by_score), reverse=True)
    for point in [*by_score, *by_confirm_score(measures), *by_rule(measures)]:
        assert point.found.whole == 2
        assert point.false_alarms >= 0


@settings(max_examples=40, deadline=None)
@given(LOOKS, st.integers(0, 1000))
def test_a_verdict_belongs_to_its_crop_wherever_it_stands_in_the_record(looks, seed):
    lines = recording(looks).lines
    verdicts = [line for line in lines if isinstance(line, Judged)]
    rest = [line for line in lines if not isinstance(line, Judged)]
    random.Random(seed).shuffle(verdicts)
    (here,) = assemble(lines).clips.values()
    (there,) = assemble([*rest, *verdicts]).clips.values()
    assert there.looks == here.looks
    assert there.seen == {line.marker.media_ns for line in lines if isinstance(line, Marked)}
    assert isinstance(lines[0], Started)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(LABELS, LABELS, st.floats(0, 1), st.sampled_from(["confirmed", "rejected"])),
        max_size=20,
    )
)
def test_every_labelled_picture_is_counted_once(given_pictures):
    made = Recording()
    for truth, label, score, outcome in given_pictures:
        made.picture(truth, label, score, outcome)
    run = made.run()
    found: dict[str, Any] = dict(labelled.figures(run))
    table = labelled.confusion(labelled.pictures(run))
    assert found["pictures"] == found["alert_pictures"] + found["other_pictures"]
    assert found["pictures"] == len(given_pictures)
    assert found["not_judged"] == 0
    outcomes = sum(n for row in table.values() for key, n in row.items() if key.startswith("="))
    assert outcomes == len(given_pictures)
