"""The detector with a real broker and a real Triton: what comes in and what goes out."""

import asyncio

import cv2
import numpy as np
import pytest

from secondlook.messages import Crop, Seen, TrackEnded
from tests.integration.detector_rig import (
    BLUE,
    GREEN,
    RED,
    rigged,
    scene,
    serving_colours,
    until,
)

pytestmark = pytest.mark.integration

CARD = scene((RED, 100, 60, 60, 40))
EMPTY = scene()


@pytest.fixture(scope="module")
def colours(triton_home, tmp_path_factory):
    with serving_colours(triton_home, tmp_path_factory.mktemp("colours"), sleep_s="2.0") as server:
        yield server


async def test_a_thing_in_view_becomes_a_track_with_looks_and_an_end(any_broker, colours, tmp_path):
    async with rigged(any_broker, colours.url, tmp_path) as rig:
        refs = await rig.yard.film(CARD, 5)
        await rig.yard.film(EMPTY, 14)
        await until(rig.ended)

    first, *others = rig.crops()
    assert [crop.id for crop in rig.crops()] == [f"{first.track}.{i}" for i in range(3)]
    assert {crop.cause for crop in rig.crops()} == {"new"}
    assert first.frame.id == refs[0].id
    assert first.track_started_ns == refs[0].captured_ns
    assert first.detector.model == "colours"
    assert first.detector.label == "red"
    assert first.detector.score == pytest.approx(0.9)
    # The input is half the frame's size: a pixel of it is two of the frame.
    box = first.box
    assert np.abs(np.array([box.x1, box.y1, box.x2, box.y2]) - [100, 60, 160, 100]).max() <= 2
    assert first.region.x1 < box.x1 < box.x2 < first.region.x2
    picture = np.asarray(cv2.imdecode(np.frombuffer(first.jpeg, np.uint8), cv2.IMREAD_COLOR))
    assert picture.shape[:2] == (first.region.height, first.region.width)
    middle = picture[picture.shape[0] // 2, picture.shape[1] // 2].astype(int)
    assert np.abs(middle - RED).max() < 40
    assert all(0 < crop.detected_ms < 60_000 for crop in rig.crops())
    (end,) = rig.ended()
    assert (end.track, end.looks) == (first.track, 3)
    assert end.media_ns == refs[-1].media_ns
    assert rig.seen()
    assert others


async def test_a_track_that_stays_is_looked_at_again(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path, relook_s=0.4) as rig:
        await rig.yard.film(CARD, 16)
        await until(lambda: len(rig.crops()) >= 5)

    assert [crop.cause for crop in rig.crops()][:5] == ["new"] * 3 + ["relook"] * 2


async def test_several_cameras_keep_apart_and_each_in_order(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path, relook_s=0.001, lost_after_s=60) as rig:
        for _ in range(20):
            await rig.cameras["yard"].show(CARD)
            await rig.cameras["gate"].show(scene((GREEN, 10, 10, 50, 50)))
            await asyncio.sleep(0.03)
        await until(lambda: rig.frames() + rig.dropped("overwritten") == 20)
        await until(lambda: len(rig.crops()) == rig.frames())
        for camera, label in (("yard", "red"), ("gate", "green")):
            crops = rig.crops(camera)
            assert {crop.detector.label for crop in crops} == {label}
            assert len({crop.track for crop in crops}) == 1
            assert [crop.id for crop in crops] == [
                f"{crops[0].track}.{i}" for i in range(len(crops))
            ]
            times = [crop.frame.media_ns for crop in crops]
            assert times == sorted(set(times))


async def test_frames_of_several_cameras_travel_in_one_call_and_are_not_mixed_up(
    broker, colours, tmp_path
):
    cameras: dict[str, dict[str, object]] = {f"cam{number}": {} for number in range(6)}
    async with rigged(
        broker, colours.url, tmp_path, cameras=cameras, max_batch=4, in_flight=1
    ) as rig:
        # A slow picture keeps the only call busy, so that the others' frames wait together.
        await rig.cameras["cam0"].show(scene((BLUE, 0, 0, 40, 40)))
        await until(lambda: rig.counted("hop_seconds_count", until="received") >= 1)
        for number in range(1, 6):
            colour = RED if number % 2 else GREEN
            await rig.cameras[f"cam{number}"].show(scene((colour, 40 * number, 60, 60, 40)))
        # One of them is gone before its turn comes.
        (tmp_path / "frames" / "cam5").joinpath(
            next(p.name for p in (tmp_path / "frames" / "cam5").glob("*.bgr"))
        ).unlink()
        await until(lambda: len([m for m in rig.heard if isinstance(m, Crop)]) >= 4)
        await until(lambda: rig.dropped("expired", "cam5") == 1)
        calls = rig.counted("inference_seconds_count")

    assert calls <= 3
    for number in range(1, 5):
        (crop,) = {crop.id: crop for crop in rig.crops(f"cam{number}")}.values()
        assert crop.detector.label == ("red" if number % 2 else "green")
        assert abs(crop.box.x1 - 40 * number) <= 2


async def test_a_camera_that_goes_offline_ends_its_tracks(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path) as rig:
        refs = await rig.yard.film(CARD, 3)
        await until(lambda: rig.frames() == 3)
        rig.yard.say("offline")
        await until(rig.ended)
        await until(lambda: [seen.media_ns for seen in rig.seen()][-1:] == [refs[-1].media_ns])
        kinds = [type(message) for message in rig.heard]

    # Nothing is said to be seen before the crops and ends that belong to that time.
    assert kinds[-2:] == [TrackEnded, Seen]
    assert kinds.count(Crop) == 3


async def test_a_new_run_ends_the_tracks_of_the_old_one(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path) as rig:
        await rig.yard.film(CARD, 3)
        rig.yard.run = "run2"
        await rig.yard.film(CARD, 3)
        await until(lambda: len(rig.crops()) == 6)
        assert [end.run for end in rig.ended()] == ["run1"]

    assert len({crop.track for crop in rig.crops()}) == 2


async def test_zones_and_labels_choose_what_is_looked_at(broker, colours, tmp_path):
    left = {"zones": {"left": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}}
    both = scene((RED, 20, 60, 60, 40), (GREEN, 20, 150, 60, 40))
    async with rigged(
        broker, colours.url, tmp_path, cameras={"yard": left, "gate": {}}, labels=["red"]
    ) as rig:
        await rig.yard.film(scene((RED, 220, 60, 60, 40)), 3)
        await rig.cameras["gate"].film(both, 3)
        await until(lambda: rig.frames("gate") == 3)
        await until(lambda: len(rig.crops("gate")) == 3)

    assert rig.crops() == []
    assert {crop.detector.label for crop in rig.crops("gate")} == {"red"}


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
async def test_a_frame_of_one_pixel_does_no_harm(broker, colours, tmp_path, size):
    async with rigged(broker, colours.url, tmp_path) as rig:
        await rig.yard.show(np.full((*size, 3), RED, np.uint8))
        await until(lambda: rig.frames() == 1)
        await rig.yard.film(CARD, 3)
        await until(lambda: len(rig.crops()) >= 3)


async def test_a_detection_too_small_to_see_is_not_sent(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path) as rig:
        await rig.yard.film(scene((RED, 100, 60, 8, 40)), 3)
        await until(lambda: rig.frames() == 3)

        assert rig.counted("looks_skipped_total", camera="yard", cause="too_small") == 3
    assert rig.crops() == []
    assert rig.ended() == []
