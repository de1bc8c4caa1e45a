"""What must hold of alerts whatever happens, in whatever order: looked for by hypothesis."""

import itertools
from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_svc.alerts import Tally, event_of
from classifier_svc.announce import Announcer, messages_of
from classifier_svc.episodes import UNVERIFIED, Changed
from classifier_svc.judge import Effect, Gap, Rejected
from classifier_svc.looks import Look, opening
from secondlook import topics
from secondlook.messages import Alert
from tests.classifier_svc.scene import HERE, START, THERE, Scene, look, ns

LABELS = ("small_gun", "big_gun")
NEVER_BEFORE = (1500, 700, 1600, 800)
RUNS = {"r1": 0.0, "r2": 40.0}
"""Each with the seconds by which its clock on the wall is ahead of its own time."""
TENTHS = st.integers(0, 300)
STEPS = st.one_of(
    st.builds(
        lambda at, what, track, where, score, run: ("look", at, what, track, where, score, run),
        TENTHS,
        st.sampled_from("sssbbru"),
        st.sampled_from("1234"),
        st.sampled_from([HERE, THERE]),
        st.floats(0.8, 1),
        st.sampled_from(["r1", "r1", "r2"]),
    ),
    st.builds(
        lambda at, run, heard, unbroken: ("seen", at, run, heard, unbroken),
        TENTHS,
        st.sampled_from(["r1", "r1", "r2"]),
        st.booleans(),
        st.none() | TENTHS,
    ),
    st.tuples(st.just("ended"), TENTHS, st.sampled_from("1234")),
    st.tuples(st.just("silent"), TENTHS, st.sampled_from("1234")),
    st.tuples(st.just("settle"), st.booleans(), st.sets(st.sampled_from("1234"))),
    st.tuples(st.just("restart")),
    st.tuples(st.just("arm"), TENTHS, st.booleans()),
)
Steps = list[tuple[Any, ...]]
MOVES = st.one_of(
    st.tuples(
        st.just("burst"),
        st.sampled_from("sssb"),
        st.sampled_from("1234"),
        st.sampled_from([HERE, THERE]),
    ),
    st.tuples(st.just("watch"), st.integers(1, 12)),
    st.tuples(st.just("ended"), st.sampled_from("1234")),
    st.tuples(st.just("blind")),
    st.tuples(
        st.just("late"), st.integers(0, 40), st.sampled_from("sbru"), st.sampled_from("1234")
    ),
    st.tuples(st.just("silent"), st.sampled_from("1234")),
    st.tuples(st.just("settle"), st.booleans(), st.sets(st.sampled_from("1234"))),
    st.tuples(st.just("restart")),
    st.tuples(st.just("arm"), st.booleans()),
)


def story(moves: list[tuple[int, tuple[Any, ...]]]) -> Steps:
    """Return the steps of a story: things are seen, are gone, and come again, with time between.

    Pure chance seldom meets the rule, waits for an end, and meets the rule again.
    """
    steps: Steps = []
    at = 0
    for wait, move in moves:
        at += wait
        match move:
            case ("burst", what, track, where):
                steps += [("look", at + n, what, track, where, 0.9, "r1") for n in (0, 2)]
                at += 2
            case ("watch", seconds):
                steps += [("seen", at + 10 * n, "r1", True, None) for n in range(seconds)]
                at += 10 * (seconds - 1)
            case ("late", tenths, what, track):
                steps.append(("look", max(0, at - tenths), what, track, HERE, 0.95, "r1"))
            case ("blind",):
                steps.append(("seen", at, "r1", True, at))
            case (("ended" | "silent" | "arm") as kind, what):
                steps.append((kind, at, what))
            case step:
                steps.append(step)
    return steps


HISTORIES = st.one_of(
    st.lists(STEPS, max_size=60),
    st.lists(st.tuples(st.integers(0, 20), MOVES), max_size=25).map(story),
)
COOLDOWNS = st.sampled_from([0.0, 3.0, 30.0])


def crop(at: float, track: str, **more: Any) -> Look:
    """A crop that waits for a model that is silent."""
    return look(at, "u", track=track, classifier=None, **more)


def name_of(look: tuple[Any, ...]) -> str:
    """Return the track of a look; the same moment of another run is another crop."""
    _, _, _, track, _, _, run = look
    return f"{'' if run == 'r1' else 'x'}{track}"


def play(scene: Scene, step: tuple[Any, ...]) -> list[Effect]:
    """Do a step; return what followed."""
    before = len(scene.history)
    match step:
        case ("look", at, what, track, where, score, run):
            name = name_of(step)
            scene.look(
                at / 10, what, track=name, where=where, score=score, run=run, offset=RUNS[run]
            )
        case ("seen", at, run, heard, unbroken):
            since = None if unbroken is None else unbroken / 10 + RUNS[run]
            scene.seen(at / 10, run, RUNS[run], heard=heard, unbroken_since=since)
        case ("ended", at, track):
            scene.ended(at / 10, track)
        case ("silent", at, track):
            scene.silent(crop(at / 10, track), crop(at / 10 + 0.2, track))
        case ("settle", up, tracks):
            scene.settle(*(f"yard-{track}" for track in tracks), model_up=up)
        case ("arm", at, up):
            arm(scene, at / 10, up=up)
        case _:
            armed = scene.judge.armed  # kept among the settings, not in the memory
            scene.restart()
            scene.judge.armed = armed
    return scene.history[before:]


def arm(scene: Scene, at: float, *, up: bool = True) -> None:
    judge = scene.judge
    # Arming what is armed changes nothing: the desk asks for changes alone.
    if up != judge.armed:
        scene.history += (judge.arm if up else judge.disarm)(START + ns(at))


def end_of(steps: Steps) -> float:
    """Return a moment of the first run after everything."""
    tenths = [part for step in steps for part in step if isinstance(part, int)]
    return max(tenths, default=0) / 10 + 1


def in_order(steps: Steps) -> Steps:
    """Return steps as they come when nothing is late: by run, then by time."""
    return sorted(
        steps,
        key=lambda step: (
            step[-1] == "r2" or step[2:3] == ("r2",),
            step[1] if len(step) > 1 and not isinstance(step[1], bool) else 0,
        ),
    )


@pytest.mark.parametrize("arrange", [in_order, list], ids=["in-order", "as-it-comes"])
@settings(max_examples=150, deadline=None)
@given(steps=HISTORIES, cooldown_s=COOLDOWNS)
def test_every_episode_is_told_in_order_under_one_label(
    arrange: Callable[[Steps], Steps], steps: Steps, cooldown_s: float
) -> None:
    scene = Scene(cooldown_s=cooldown_s)
    for step in arrange(steps):
        play(scene, step)
    scene.check()


@settings(max_examples=150, deadline=None)
@given(steps=HISTORIES, cooldown_s=COOLDOWNS)
def test_a_track_in_view_has_at_most_one_open_episode(steps: Steps, cooldown_s: float) -> None:
    scene = Scene(cooldown_s=cooldown_s)
    for step in steps:
        play(scene, step)
        memory = scene.judge.memory
        for track in memory.tracks.values():
            mine = [e for e in memory.episodes.values() if e.open and track.id in e.tracks]
            assert track.ended or len(mine) <= 1
            assert all(e.id == track.episode for e in mine if not track.ended)


@settings(max_examples=150, deadline=None)
@given(steps=HISTORIES, cooldown_s=COOLDOWNS, what=st.sampled_from("sb"))
def test_no_cooldown_silences_what_continues_nothing(
    steps: Steps, cooldown_s: float, what: str
) -> None:
    scene = Scene(cooldown_s=cooldown_s)
    for step in steps:
        play(scene, step)
    at = end_of(steps)
    arm(scene, at)
    told = scene.looks((at, what), (at + 0.3, what), track="new", where=NEVER_BEFORE)
    assert [line.partition(" ")[0] for line in told] == ["new"]


@settings(max_examples=150, deadline=None)
@given(steps=HISTORIES, cooldown_s=COOLDOWNS)
def test_a_second_thing_beside_a_living_one_alerts_although_it_is_at_its_place(
    steps: Steps, cooldown_s: float
) -> None:
    scene = Scene(cooldown_s=cooldown_s)
    for step in steps:
        play(scene, step)
    at = end_of(steps)
    arm(scene, at)
    scene.looks((at, "s"), (at + 0.3, "s"), track="first", where=NEVER_BEFORE)
    told = scene.looks((at + 0.4, "s"), (at + 0.7, "s"), track="second", where=NEVER_BEFORE)
    assert told == ["new small_gun"]


@settings(max_examples=150, deadline=None)
@given(
    steps=HISTORIES,
    gaps=st.lists(
        st.tuples(st.floats(0.6, 5000), st.sampled_from(["r1", "r1", "r1", "r2", "r3"])),
        max_size=20,
    ),
)
def test_blind_time_ends_no_episode(steps: Steps, gaps: list[tuple[float, str]]) -> None:
    scene = Scene(cooldown_s=3.0)
    for step in steps:
        play(scene, step)
    at = end_of(steps)
    arm(scene, at)
    scene.seen(at)
    scene.looks((at, "s"), (at + 0.3, "s"), track="watched", where=NEVER_BEFORE)
    mine = scene.judge.episode_of("yard-watched")
    before = len(scene.history)
    for blind_s, run in gaps:
        at += blind_s
        # It says itself that it has looked from this moment on alone.
        scene.seen(at, f"late{run}" if run != "r1" else "r1", unbroken_since=at)
    after = [e for e in scene.history[before:] if isinstance(e, Changed)]
    assert not [change for change in after if change.episode.id == mine and change.event == "end"]


@settings(max_examples=150, deadline=None)
@given(
    spans=st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=40),
    restarts=st.booleans(),
)
def test_an_episode_ends_after_just_so_much_seen_time(
    spans: list[tuple[bool, int]], restarts: bool
) -> None:
    scene = Scene(end_after_s=5.0, cooldown_s=0.0)
    scene.seen(0)
    scene.looks((0, "s"), (0.1, "s"))
    at, watched_s, told = 0.1, 0.0, []
    scene.seen(at)
    for is_watched, tenths in spans:
        at += tenths / 10
        watched_s += tenths / 10 if is_watched else 0.0
        told += scene.seen(at, unbroken_since=0.0 if is_watched else at)
        if restarts:
            scene.restart()
        ends = [line for line in told if line.startswith("end")]
        assert bool(ends) == (round(watched_s, 6) >= 5.0)
    assert len([line for line in told if line.startswith("end")]) <= 1


def described(effects: list[Effect]) -> list[Any]:
    """Effects as they can be compared: ids are counted, so they agree between two scenes."""
    return [
        (e.event, e.episode.id, e.episode.sequence, e.reason) if isinstance(e, Changed) else e
        for e in effects
    ]


@settings(max_examples=100, deadline=None)
@given(
    steps=HISTORIES,
    again=st.lists(st.tuples(st.integers(0, 29), st.integers(0, 10)), max_size=20),
)
def test_a_look_that_comes_again_changes_nothing(
    steps: Steps, again: list[tuple[int, int]]
) -> None:
    once, often = Scene(), Scene()
    # Whatever the judge has forgotten, with its track or by being disarmed, the inbox still knows.
    remembered: dict[int, str] = {}
    repeats: dict[int, list[int]] = {}
    for which, later in again:
        repeats.setdefault(which + later, []).append(which)
    for number, step in enumerate(steps):
        play(once, step)
        play(often, step)
        if step[0] == "look":
            remembered[number] = f"yard-{name_of(step)}"
        tracks = often.judge.memory.tracks
        remembered = {look: track for look, track in remembered.items() if track in tracks}
        for which in repeats.get(number, ()):
            if which in remembered:
                assert play(often, steps[which]) == []
    assert described(often.history) == described(once.history)


@settings(max_examples=200, deadline=None)
@given(
    looks=st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from("ssbru")),
        min_size=1,
        max_size=12,
        unique_by=lambda each: each[0],
    ),
    data=st.data(),
)
def test_in_whatever_order_looks_come_an_episode_opens_that_the_rule_asks_for(
    looks: list[tuple[int, str]], data: st.DataObject
) -> None:
    scene = Scene()
    taken = [look(at / 10, what) for at, what in sorted(looks)]
    asked_for = any(opening(taken, place, scene.rule) for place in range(len(taken)))
    for each in data.draw(st.permutations(taken)):
        scene.take(each)
    scene.check()
    opened = [change for change in scene.changes if change.event == "new"]
    assert opened or not asked_for


@settings(max_examples=150, deadline=None)
@given(steps=HISTORIES, cooldown_s=COOLDOWNS)
def test_a_state_is_on_exactly_while_a_confirmed_episode_is_open(
    steps: Steps, cooldown_s: float
) -> None:
    scene = Scene(cooldown_s=cooldown_s)
    states: dict[str, str] = {}

    def hear(messages: list[Any]) -> None:
        for message in messages:
            if message.topic == topics.STATE.pattern:
                label = next(each for each in LABELS if f'"{each}"' in message.levels)
                state = message.payload.decode()
                assert states.get(label) != state or fresh, "it is said when it changes"
                states[label] = state

    fresh = True
    announcer = Announcer("yard", "secondlook", LABELS)
    hear(announcer.begin(scene.judge.memory.episodes.values()))
    for step in steps:
        fresh = False
        effects = play(scene, step)
        hear(messages_of(effects, announcer, {}, START)[1])
        if step[0] == "restart":
            fresh = True
            announcer = Announcer("yard", "secondlook", LABELS)
            hear(announcer.begin(scene.judge.memory.episodes.values()))
        on = {label for label, state in states.items() if state == "ON"}
        confirmed = [e for e in scene.judge.memory.episodes.values() if e.status != UNVERIFIED]
        assert on == {episode.label for episode in confirmed if episode.open}
        assert on == scene.judge.open_labels()


@settings(max_examples=100, deadline=None)
@given(steps=HISTORIES, at=st.sets(st.integers(0, 60)))
def test_what_is_remembered_decides_as_if_there_had_been_no_restart(
    steps: Steps, at: set[int]
) -> None:
    straight, interrupted = Scene(), Scene()
    for number, step in enumerate(each for each in steps if each[0] != "restart"):
        play(straight, step)
        play(interrupted, step)
        if number in at:
            play(interrupted, ("restart",))
    assert described(interrupted.history) == described(straight.history)


@settings(max_examples=100, deadline=None)
@given(steps=HISTORIES)
def test_every_effect_can_be_said_and_its_times_are_in_order(steps: Steps) -> None:
    scene = Scene()
    announcer = Announcer("yard", "secondlook", LABELS)
    for step in steps:
        play(scene, step)
    alerts, messages = messages_of(scene.history, announcer, {}, START + ns(4000))
    for alert in alerts:
        assert Alert.decode(alert.encode()) == alert
        assert (alert.ended_at is None) == (alert.event != "end")
        assert alert.ended_at is None or alert.ended_at >= alert.started_at
        assert (alert.label == UNVERIFIED) == (alert.status == "unverified")
    for effect in scene.history:
        if isinstance(effect, Gap):
            assert effect.from_ns < effect.to_ns
    rejected = [e.look.track for e in scene.history if isinstance(e, Rejected) and e.first]
    assert len(rejected) == len(set(rejected))
    ends = [m.alert_id for m in messages if m.alert_id]
    assert len(ends) == len(alerts)


@settings(max_examples=100, deadline=None)
@given(steps=HISTORIES)
def test_what_an_episode_supersedes_has_ended_before_it_begins(steps: Steps) -> None:
    scene = Scene()
    for step in steps:
        play(scene, step)
    ended: dict[str, str | None] = {}
    for earlier in itertools.chain(scene.changes):
        if earlier.event == "end":
            ended[earlier.episode.id] = earlier.reason
        elif earlier.event == "new" and earlier.episode.supersedes:
            assert ended[earlier.episode.supersedes] in ("escalated", "confirmed")


@settings(max_examples=100, deadline=None)
@given(steps=HISTORIES, parts=st.integers(1, 7))
def test_the_day_counts_every_episode_and_every_rejected_track_once(
    steps: Steps, parts: int
) -> None:
    scene = Scene()
    tally = Tally.begin("yard", START, UTC)
    for step in steps:
        effects = play(scene, step)
        for first in range(0, len(effects), parts):
            tally.add(effects[first : first + parts], START, looks=1)
    events = [event_of(e, camera="yard", now_ns=START) for e in scene.history]
    said = [event.event_type for event in events if event]
    assert tally.counters.alerts == said.count("alert")
    assert tally.counters.unverified == said.count("unverified")
    assert tally.counters.rejections <= said.count("rejected")
    ids = [event.id for event in events if event and event.event_type != "rejected"]
    assert len(ids) == len(set(ids)), "one line in the log book for an episode"
    assert not tally.roll(START)
    assert tally.roll(START + 86_400 * 10**9)
    assert tally.counters.alerts == tally.counters.looks == 0


@settings(max_examples=150, deadline=None)
@given(steps=HISTORIES, off=st.integers(0, 300), late=HISTORIES)
def test_what_was_captured_while_a_camera_was_disarmed_or_before_raises_nothing(
    steps: Steps, off: int, late: Steps
) -> None:
    scene = Scene()
    for step in steps:
        if step[0] != "arm":
            play(scene, step)
    begin = len(scene.history)
    arm(scene, off / 10, up=False)
    assert scene.judge.open_labels() == frozenset()
    armed_at = end_of(steps) + end_of(late)
    for number, step in enumerate(late):
        if number == len(late) // 2:
            arm(scene, armed_at)
        if step[0] in ("look", "seen", "ended", "settle", "restart") and "r2" not in step:
            play(scene, step)
    told = [e for e in scene.history[begin:] if isinstance(e, Changed)]
    assert {change.event for change in told} <= {"end"}
    assert {change.reason for change in told} <= {"disarmed"}
    scene.check()
