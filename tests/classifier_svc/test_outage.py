from classifier_svc.outage import LATE_NS, Outage


def test_one_failed_call_is_no_outage() -> None:
    outage = Outage()
    assert not outage.failed(10.0, 5)
    assert outage.silent_s(11.0) == 1.0
    assert not outage.answered()
    assert outage.silent_s(12.0) == 0.0
    assert not outage.failed(20.0, 5)


def test_two_in_a_row_are_said_once_and_so_is_their_end() -> None:
    outage = Outage()
    outage.failed(10.0, 5)
    assert outage.failed(10.5, 6)
    assert not outage.failed(11.0, 7)
    assert outage.silent_s(12.0) == 2.0
    assert outage.answered()
    assert not outage.answered()


def test_what_waited_through_an_outage_is_late_and_what_came_after_is_not() -> None:
    outage = Outage()
    outage.failed(10.0, 5)
    assert not outage.is_late(5, 0, 0)
    outage.failed(10.5, 6)
    outage.answered()
    assert outage.is_late(6, 0, 0)
    assert not outage.is_late(7, 0, 0)


def test_what_was_captured_long_ago_is_late() -> None:
    assert not Outage().is_late(1, 0, LATE_NS)
    assert Outage().is_late(1, 0, LATE_NS + 1)
