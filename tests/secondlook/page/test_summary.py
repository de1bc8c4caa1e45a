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
