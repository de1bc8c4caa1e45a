import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from secondlook import messages as m
from secondlook import topics
from secondlook.errors import Unreadable
from secondlook.samples import ALERT, CROP, FRAME


def changed(message: m.Message, **fields: object) -> bytes:
    return json.dumps(json.loads(message.encode()) | fields).encode()


@pytest.mark.parametrize("message", [FRAME, CROP, ALERT], ids=["frame", "crop", "alert"])
def test_a_message_comes_back_as_it_was_sent(message: m.Message) -> None:
    again = type(message).decode(message.encode())
    assert again.encode() == message.encode()


def test_messages_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FRAME.camera = "other"  # type: ignore[misc]  # what mypy forbids too


def test_times_are_rfc3339_in_utc_with_milliseconds() -> None:
    assert json.loads(ALERT.encode())["started_at"] == "2026-11-22T06:13:19.923Z"


def test_fields_of_a_later_version_are_ignored() -> None:
    assert m.FrameRef.decode(changed(FRAME, weather="rain")) == FRAME


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        pytest.param({"schema": "secondlook/frame/2"}, "schema", id="another-schema"),
        pytest.param({"camera": "Front Door"}, "camera", id="a-camera-that-is-no-slug"),
        pytest.param({"id": "front_door-../../etc"}, "id", id="a-path-for-an-id"),
        pytest.param({"id": "front_door-1"}, "id must be", id="an-id-of-another-moment"),
        pytest.param({"width": 0}, "width", id="no-width"),
        pytest.param({"height": 70_000}, "height", id="a-picture-larger-than-any"),
        pytest.param({"captured_ns": -1}, "captured_ns", id="before-the-epoch"),
        pytest.param({"captured_ns": "x"}, "captured_ns", id="no-number"),
        pytest.param({"media_ns": 2**63}, "media_ns", id="more-than-63-bits"),
        pytest.param({"channels": "yuv"}, "channels", id="other-channels"),
    ],
)
def test_a_wrong_frame_reference_is_unreadable_and_names_the_field(
    fields: dict[str, object], named: str
) -> None:
    with pytest.raises(Unreadable, match=named):
        m.FrameRef.decode(changed(FRAME, **fields))


def test_a_mistake_never_repeats_the_value() -> None:
    with pytest.raises(Unreadable) as caught:
        m.FrameRef.decode(changed(FRAME, camera="hunter2 is my password"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_score_is_a_number(number: str) -> None:
    payload = ALERT.encode().replace(b'"score":0.97', f'"score":{number}'.encode())
    with pytest.raises(Unreadable, match="score"):
        m.Alert.decode(payload)


def test_a_crop_carries_its_pixels_as_standard_base64() -> None:
    jpeg = bytes(range(256))
    crop = CROP.model_copy(update={"jpeg": jpeg})
    text = json.loads(crop.encode())["jpeg"]
    assert "-" not in text
    assert "_" not in text
    assert m.Crop.decode(crop.encode()).jpeg == jpeg


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"jpeg": "not base64!"}, id="no-base64"),
        pytest.param({"jpeg": "A" * 4_000_000}, id="too-many-pixels"),
        pytest.param({"track": "hall-1"}, id="a-track-of-another-camera"),
        pytest.param({"id": "front_door-other.2"}, id="an-id-of-another-track"),
        pytest.param({"box": {"x1": 5, "y1": 5, "x2": 5, "y2": 9}}, id="an-empty-box"),
        pytest.param({"frame": None}, id="no-frame"),
    ],
)
def test_a_crop_whose_parts_disagree_is_unreadable(fields: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        m.Crop.decode(changed(CROP, **fields))


def test_boxes_overlap_as_intersection_over_union() -> None:
    whole = m.Box(x1=0, y1=0, x2=10, y2=10)
    half = m.Box(x1=5, y1=0, x2=15, y2=10)
    assert whole.overlap(whole) == 1.0
    assert whole.overlap(half) == pytest.approx(50 / 150)
    assert whole.overlap(m.Box(x1=10, y1=0, x2=20, y2=10)) == 0.0
    assert (half.width, half.height) == (10, 10)


@given(st.integers(min_value=0, max_value=2**62))
def test_nanoseconds_become_the_moment_they_mean(unix_ns: int) -> None:
    moment = m.moment_of(unix_ns)
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (
        datetime.resolution  # one microsecond
    )
    assert microseconds == unix_ns // 1000


def test_the_mistakes_of_a_message_are_summed_up_in_one_line() -> None:
    with pytest.raises(Unreadable, match="and 14 more") as caught:
        m.Alert.decode(b"{}")
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_unreadable(payload: bytes) -> None:
    with pytest.raises(Unreadable):
        m.Crop.decode(payload)


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_replay_since_any_moment_fits_into_the_database(since: str) -> None:
    asked = m.Replay.decode(f'{{"since": "{since}", "client": "me"}}')

    assert 0 <= asked.since_ns < 2**63


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_moment_without_a_date_in_utc_is_unreadable(since: str) -> None:
    with pytest.raises(Unreadable, match="beyond the calendar"):
        m.Replay.decode(f'{{"since": "{since}", "client": "me"}}')


def test_a_reason_repeats_neither_a_long_key_nor_a_long_schema() -> None:
    with pytest.raises(Unreadable) as caught:
        topics.CROPS.decode(b'{"schema": "%s"}' % (b"x" * 5000), {"camera": "a"})
    assert len(str(caught.value)) < 500


def test_a_reason_that_a_newer_version_says_is_read_as_gone() -> None:
    said = json.loads(ALERT.encode()) | {"event": "end", "reason": "abducted"}
    assert m.Alert.decode(json.dumps(said)).reason == "gone"
    with pytest.raises(Unreadable):
        m.Alert.decode(json.dumps(said | {"reason": 7}))
