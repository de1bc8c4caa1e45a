"""What the detections of one camera become."""

import numpy as np
import pytest

from detector_svc.evidence import Evidence
from detector_svc.yolo import Detections
from secondlook.config import Config
from secondlook.messages import Crop, TrackEnded
from secondlook.model_spec import ModelParameters, ModelSpec, Tensor
from tests.detector_svc.messages_of import frame

START_NS = 1_795_328_000_000_000_000
IMAGE = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)


def evidence(camera=None, detector=None, min_score=None):
    config = Config.model_validate(
        {
            "cameras": {"yard": {"source": "synthetic:", **(camera or {})}},
            "detector": detector or {},
        }
    )
    parameters = ModelParameters(labels=("suspect", "cup"), min_score=min_score)
    spec = ModelSpec("yolov5", "3", Tensor("images", "UINT8", (64, 64, 3)), (), 8, parameters)
    return Evidence("yard", config, spec, "abc")


def found(*boxes, label=0):
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, 0.5, np.float32),
        np.full(n, label, np.int32),
    )


def ref(seconds, run="r1"):
    ns = round(seconds * 1e9)
    return frame(captured_ns=START_NS + ns, media_ns=ns, run=run)


def see(yard, seconds, *boxes, run="r1", **kwargs):
    return yard.see(ref(seconds, run), IMAGE, found(*boxes, **kwargs), 12.5)


CARD = (100.4, 100.6, 180.2, 160.1)


def test_a_crop_carries_everything_about_its_look():
    yard = evidence()
    see(yard, 0, CARD)

    (crop,) = see(yard, 0.2, CARD, label=1).messages

    assert isinstance(crop, Crop)
    assert crop.id == "yard-abc-0.1"
    assert crop.frame == ref(0.2)
    assert (crop.box.x1, crop.box.y1, crop.box.x2, crop.box.y2) == (100, 100, 181, 161)
    assert (crop.region.x1, crop.region.x2) == (87, 194)  # 15 % of 81 on each side
    assert crop.detector.model_dump() == {
        "model": "yolov5",
        "version": "3",
        "label": "cup",
        "score": 0.5,
    }
    assert crop.track_started_ns == START_NS
    assert crop.track_started_media_ns == 0
    assert crop.detected_ms == 12.5
    assert crop.jpeg.startswith(b"\xff\xd8")


def test_an_end_comes_before_the_crops_of_what_follows_it():
    yard = evidence()
    see(yard, 0, CARD)

    later = see(yard, 3, CARD, run="r2").messages

    assert [type(message) for message in later] == [TrackEnded, Crop]
    assert later[0].run == "r1"
    assert later[0].looks == 1


def test_the_end_of_a_track_that_nobody_heard_of_is_not_told():
    yard = evidence(detector={"crop": {"min_px": 100}})

    seen = see(yard, 0, CARD)

    assert seen.messages == ()
    assert seen.skipped == {"too_small": 1}
    assert yard.end() == []


def test_the_camera_being_gone_ends_every_track():
    yard = evidence()
    see(yard, 0, CARD, (300, 300, 400, 400))

    assert [message.track for message in yard.end()] == ["yard-abc-0", "yard-abc-1"]
    assert yard.end() == []


def test_a_detection_outside_the_zones_does_not_exist():
    yard = evidence({"zones": {"right": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}})

    assert see(yard, 0, CARD).messages == ()
    assert len(yard.tracker) == 0


def test_a_box_at_the_edge_of_the_frame_is_cut_within_it():
    (crop,) = see(evidence(), 0, (600, 440, 640, 480)).messages

    assert (crop.region.x2, crop.region.y2) == (640, 480)


def test_how_far_was_looked_is_said_once_a_second():
    yard = evidence()
    said = []
    for index in range(30):
        see(yard, index / 10)
        said.append(yard.seen(now_s=index / 10))

    times = [seen.media_ns / 1e9 for seen in said if seen]
    assert times == pytest.approx([0.0, 1.0, 2.0])


def test_how_far_was_looked_can_be_said_after_every_frame():
    yard = evidence(detector={"seen_every_s": 0})
    said = []
    for index in range(3):
        see(yard, index / 10)
        said.append(yard.seen(now_s=0.0).media_ns)

    assert said == [0, 100_000_000, 200_000_000]


def test_how_far_was_looked_is_said_for_a_new_run_and_on_demand():
    yard = evidence()
    assert yard.seen(now_s=0, at_once=True) is None
    see(yard, 0)
    assert yard.seen(now_s=0).run == "r1"
    see(yard, 0.1)
    assert yard.seen(now_s=0.1) is None
    assert yard.seen(now_s=0.1, at_once=True).media_ns == 100_000_000
    assert yard.seen(now_s=9, at_once=True) is None
    see(yard, 0, run="r2")
    assert yard.seen(now_s=9.1).run == "r2"


@pytest.mark.parametrize(
    ("camera", "detector", "model", "wanted"),
    [
        ({"min_score": 0.1}, {"min_score": 0.2}, 0.3, 0.1),
        ({}, {"min_score": 0.0}, 0.3, 0.0),
        ({}, {}, 0.3, 0.3),
        ({}, {}, None, 0.25),
    ],
)
def test_the_nearest_min_score_counts(camera, detector, model, wanted):
    assert evidence(camera, detector, model).min_score == wanted


def grid(count):
    """Return so many boxes that lie apart."""
    return [(x, y, x + 20, y + 20) for y in range(0, 460, 23) for x in range(0, 620, 23)][:count]


def test_a_thousand_objects_are_not_a_thousand_crops_and_what_is_begun_goes_first():
    yard = evidence(detector={"max_looks_per_s": 10})
    looked = []
    skipped = 0
    for index in range(11):
        seen = see(yard, index / 5, *grid(500))
        looked += [message.id for message in seen.messages]
        skipped += seen.skipped["budget"]

    assert 28 <= len(looked) <= 30  # ten saved up, and ten in each of two seconds
    assert skipped > 5000
    by_track = [sum(each.startswith(f"yard-abc-{n}.") for each in looked) for n in range(500)]
    assert by_track[:9] == [3] * 9, "enough looks of a few, not one of each"


def test_looks_again_are_shared_where_not_all_can_be_had():
    yard = evidence(detector={"max_looks_per_s": 4})
    looked = []
    for index in range(300):
        looked += [message.track for message in see(yard, index / 5, *grid(12)).messages]

    late = looked[len(looked) // 2 :]
    counts = [late.count(f"yard-abc-{n}") for n in range(12)]
    assert max(counts) - min(counts) <= 1


def test_another_run_begins_with_a_full_budget():
    yard = evidence(detector={"max_looks_per_s": 2})
    assert len(see(yard, 50, *grid(5)).messages) == 2
    assert see(yard, 50.1, *grid(5)).messages == ()
    again = see(yard, 0, *grid(5), run="r2").messages
    assert [type(message) for message in again].count(Crop) == 2


def test_it_says_since_when_it_has_looked_without_a_pause():
    yard = evidence()
    see(yard, 10.0)
    see(yard, 10.9)
    assert yard.seen(0.0, at_once=True).unbroken_since_ns == ref(10.0).captured_ns

    see(yard, 12.0)
    assert yard.seen(0.0, at_once=True).unbroken_since_ns == ref(12.0).captured_ns

    see(yard, 12.2, run="r2")
    assert yard.seen(0.0, at_once=True).unbroken_since_ns == ref(12.2).captured_ns


def test_a_slow_camera_pauses_when_it_misses_three_frames():
    yard = evidence(camera={"fps": 0.5})
    see(yard, 10.0)
    see(yard, 15.0)
    assert yard.seen(0.0, at_once=True).unbroken_since_ns == ref(10.0).captured_ns

    see(yard, 22.0)
    assert yard.seen(0.0, at_once=True).unbroken_since_ns == ref(22.0).captured_ns
