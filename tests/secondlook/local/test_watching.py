from hypothesis import given
from hypothesis import strategies as st

from secondlook import samples, topics
from secondlook.local.watching import REMEMBERED_FRAMES, Run
from secondlook.messages import Alert, FrameRef

FIRST = samples.FRAME
SECOND = 1_000_000_000
(VERDICT,) = samples.SAMPLES[topics.VERDICTS.pattern]


def later(seconds: float) -> FrameRef:
    """Return a frame that was captured this long after the first."""
    captured_ns = FIRST.captured_ns + int(seconds * SECOND)
    media_ns = FIRST.media_ns + int(seconds * SECOND)
    return FIRST.model_copy(
        update={
            "id": f"{FIRST.camera}-{captured_ns}",
            "captured_ns": captured_ns,
            "media_ns": media_ns,
        }
    )


def alert_at(frame: FrameRef, **fields: object) -> Alert:
    facts = samples.FACTS.model_copy(update={"id": frame.id})
    return samples.ALERT.model_copy(update={"frame": facts, **fields})


def test_an_alert_has_the_clip_time_of_its_frame_and_of_its_arrival() -> None:
    run = Run()
    run.saw_frame(FIRST)
    run.saw_frame(later(2.0))

    assert run.saw_alert(alert_at(later(2.0)), FIRST.captured_ns + int(2.25 * SECOND))

    (raised,) = run.raised
    assert raised.at_s == 12.4
    assert raised.came_s == 12.65
    assert raised.label == "small_gun"


def test_a_frame_whose_message_was_lost_is_placed_by_its_capture() -> None:
    run = Run()
    run.saw_frame(FIRST)

    assert run.clip_s(later(3.5).id) == 13.9


def test_a_message_that_comes_twice_counts_once() -> None:
    run = Run()
    run.saw_frame(FIRST)

    assert run.saw_alert(samples.ALERT, FIRST.captured_ns)
    assert not run.saw_alert(samples.ALERT, FIRST.captured_ns)
    assert run.saw_verdict(VERDICT)
    assert not run.saw_verdict(VERDICT)
    assert run.alerts == {"new": 1}
    assert run.outcomes == {VERDICT.outcome: 1}


def test_updates_and_ends_are_counted_and_raise_nothing() -> None:
    run = Run()
    for number, event in enumerate(("new", "update", "end")):
        run.saw_alert(alert_at(FIRST, event=event, sequence=number), FIRST.captured_ns)

    assert run.alerts == {"new": 1, "update": 1, "end": 1}
    assert len(run.raised) == 1


def test_crops_wait_until_they_are_judged() -> None:
    run = Run()
    for message in samples.SAMPLES[topics.CROPS.pattern]:
        run.saw_crop(message)
    run.saw_crop(samples.CROP)
    assert len(run.crops) == 1
    assert run.waiting == 1

    run.saw_verdict(VERDICT.model_copy(update={"id": samples.CROP.id}))

    assert run.waiting == 0


def test_a_run_without_end_remembers_only_its_newest_frames() -> None:
    run = Run()
    for number in range(REMEMBERED_FRAMES + 5):
        run.saw_frame(later(number / 10))

    assert run.frames == REMEMBERED_FRAMES + 5
    assert len(run._media_ns) == REMEMBERED_FRAMES
    assert run.at_s == (FIRST.media_ns + (REMEMBERED_FRAMES + 4) * SECOND // 10) / SECOND


MESSAGES = st.lists(
    st.one_of(
        st.tuples(st.just("crop"), st.integers(0, 5)),
        st.tuples(st.just("verdict"), st.integers(0, 5)),
        st.tuples(st.just("alert"), st.integers(0, 5)),
    ),
    max_size=30,
)


@given(MESSAGES)
def test_what_comes_twice_counts_once(messages: list[tuple[str, int]]) -> None:
    once, twice = Run(), Run()
    for run, times in ((once, 1), (twice, 2)):
        run.saw_frame(FIRST)
        for kind, number in dict.fromkeys(messages) if times == 1 else messages * 2:
            tell(run, kind, number)
    assert (twice.crops, twice.judged, twice.outcomes) == (once.crops, once.judged, once.outcomes)
    assert (twice.alerts, twice.raised) == (once.alerts, once.raised)
    assert twice.waiting == len(
        {n for kind, n in messages if kind == "crop"}
        - {n for kind, n in messages if kind == "verdict"}
    )


def tell(run: Run, kind: str, number: int) -> None:
    if kind == "crop":
        run.saw_crop(samples.CROP.model_copy(update={"id": f"front_door-1.{number}"}))
    elif kind == "verdict":
        run.saw_verdict(VERDICT.model_copy(update={"id": f"front_door-1.{number}"}))
    else:
        event = "new" if number == 0 else "update"
        alert = samples.ALERT.model_copy(update={"sequence": number, "event": event})
        run.saw_alert(alert, FIRST.captured_ns)
