"""The books of a chaos run."""

from secondlook import samples
from secondlook.messages import Alert, moment_of
from tests.chaos.accounting import Outage, Span, beyond, settle
from tests.chaos.recovery import Heard, recovered_ns
from tests.chaos.run import allowed_s
from tests.chaos.truth import SECOND, Run, Visit

START = 1_795_328_000 * SECOND
SAMPLE = next(m for m in samples.SAMPLES["alerts/{camera}/{label}"] if isinstance(m, Alert))
VISIT = Visit(
    "front_door", "r1", 1, "small_gun", "card", tuple(START + i * SECOND // 5 for i in range(20))
)
NAMES = ["producers", "detector", "triton", "classifier", "yard"]


def alert(at_s: float, number: int = 0) -> Alert:
    frame = SAMPLE.frame.model_copy(update={"captured_at": moment_of(START + round(at_s * SECOND))})
    return SAMPLE.model_copy(update={"frame": frame, "id": f"{SAMPLE.id[:-1]}{number}"})


def span(from_s: float, to_s: float) -> Span:
    return Span("front_door", START + round(from_s * SECOND), START + round(to_s * SECOND), "why")


def fates(alerts, spans=()):
    return [o.fate for o in settle([VISIT], alerts, [], spans, [], 11).outcomes]


def test_a_visit_without_an_alert_is_lost():
    assert fates([alert(0.3)]) == ["alerted"]
    assert fates([]) == ["lost"]
    assert fates([alert(30)]) == ["lost"]


def test_only_blind_records_that_leave_too_few_looks_excuse():
    assert fates([], [span(0, 1)]) == ["lost"]
    assert fates([], [span(1.5, 2.5)]) == ["excused"]


def test_a_second_id_counts_unless_a_blind_record_lies_between():
    twice = [alert(0.3, 1), alert(3.0, 2)]
    assert len(settle([VISIT], twice, [], [], [], 11).second_ids) == 1
    assert settle([VISIT], twice, [], [span(1, 2)], [], 11).second_ids == []


def test_what_shows_no_visit_is_a_stranger():
    assert len(settle([VISIT], [alert(30)], [], [], [], 11).strangers) == 1


def test_a_blind_record_may_exceed_the_outage_by_ten_seconds():
    outage = Outage(1, "broker", "freeze", START, START + 5 * SECOND, START + 6 * SECOND, 0.0)
    assert beyond(span(-2, 9), [outage]) == 5 * SECOND
    assert not settle([], [], [], [span(-4, 11)], [outage], 11).long_blind
    assert settle([], [], [], [span(-8, 11)], [outage], 11).long_blind


def test_a_killed_service_has_recovered_when_it_says_so_again_and_stays():
    def heard(at_s, kind, name, value="", captured_s=0.0):
        at_ns = START + round(at_s * SECOND)
        return Heard(at_ns, kind, name, value, START + round(captured_s * SECOND))

    events = [heard(-5, "status", name, "online") for name in NAMES]
    events += [heard(1, "seen", "yard", captured_s=0.9)]
    assert recovered_ns("classifier", "kill", START, events, NAMES) is None
    events += [heard(2, "status", "classifier", "online")]
    assert recovered_ns("classifier", "kill", START, events, NAMES) is None
    events += [heard(5, "seen", "yard", captured_s=4.9)]
    assert recovered_ns("classifier", "kill", START, events, NAMES) == START + 2 * SECOND


def test_a_recovery_may_take_longer_on_a_machine_that_has_too_much_to_do():
    assert [allowed_s(load) for load in (0.2, 1.0, 1.5, 40.0)] == [10, 10, 15, 25]


def test_a_frozen_scene_goes_on_later():
    run = Run("yard", "r1", 1, 0)
    run.add(0, START)
    run.add(SECOND, START + SECOND)
    run.add(2 * SECOND, START + 7 * SECOND)
    assert run.captured_ns(SECOND + SECOND // 2) == START + SECOND + SECOND // 2
    assert run.captured_ns(3 * SECOND) == START + 8 * SECOND
