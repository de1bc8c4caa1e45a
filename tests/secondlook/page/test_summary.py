from hypothesis import given
from hypothesis import strategies as st

from secondlook.page.summary import Line, Seen, summarise

WELL = Seen("yard", None, [])
DOOR = Seen("door", None, [])
GONE = "the camera is offline"


def test_all_is_well() -> None:
    assert summarise([WELL], True) == [Line("well", "Watching yard")]
    assert summarise([WELL, DOOR], True) == [Line("well", "Watching 2 cameras")]


def test_an_open_alert_comes_first() -> None:
    lines = summarise([Seen("yard", None, ["big_gun", "small_gun"]), Seen("door", GONE, [])], True)

    assert lines == [
        Line("alert", "Alert: big_gun, small_gun at yard"),
        Line("wrong", f"Not watching door: {GONE}"),
    ]


def test_cameras_with_the_same_reason_share_a_line() -> None:
    blind = [Seen(name, "the detector is offline", []) for name in ("a", "b")]

    assert summarise(blind, True) == [
        Line("wrong", "Not watching any camera: the detector is offline")
    ]
    assert summarise([*blind, WELL], True) == [
        Line("wrong", "Not watching a, b: the detector is offline"),
    ]


def test_without_a_broker_nothing_else_is_claimed() -> None:
    lines = summarise([Seen("yard", None, ["big_gun"]), WELL], False)

    assert [line.level for line in lines] == ["wrong"]
    assert "No broker" in lines[0].text


seen = st.builds(
    Seen,
    name=st.sampled_from(["yard", "door", "hall"]),
    unwatched=st.sampled_from([None, GONE, "the detector is offline"]),
    on=st.lists(st.sampled_from(["big_gun", "small_gun"]), unique=True),
)


@given(st.lists(seen, min_size=1, unique_by=lambda camera: camera.name), st.booleans())
def test_all_is_well_only_if_everything_is_and_nothing_wrong_is_left_out(
    cameras: list[Seen], connected: bool
) -> None:
    lines = summarise(cameras, connected)
    well = connected and not any(camera.unwatched or camera.on for camera in cameras)

    assert lines
    assert [line.level for line in lines] == sorted(line.level for line in lines)
    assert (lines[0].level == "well") is well
    for camera in cameras if connected else []:
        if camera.on:
            assert any(line.level == "alert" and camera.name in line.text for line in lines)
        if camera.unwatched:
            told = [line.text for line in lines if camera.unwatched in line.text]
            assert camera.name in told[0] or "any camera" in told[0]
