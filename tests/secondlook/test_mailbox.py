import asyncio

from hypothesis import given
from hypothesis import strategies as st

from secondlook.mailbox import Mailbox


async def test_the_newest_value_wins_and_the_overwritten_one_is_counted() -> None:
    box: Mailbox[str, int] = Mailbox()
    assert box.put("yard", 1) is None
    assert box.put("yard", 2) == 1
    assert await box.take() == ("yard", 2)
    assert box.overwritten == {"yard": 1}
    assert len(box) == 0


async def test_a_fast_camera_keeps_its_place_in_the_queue() -> None:
    box: Mailbox[str, int] = Mailbox()
    box.put("fast", 1)
    box.put("slow", 1)
    box.put("fast", 2)
    assert [await box.take(), await box.take()] == [("fast", 2), ("slow", 1)]


async def test_a_reader_waits_for_the_next_value() -> None:
    box: Mailbox[str, int] = Mailbox()
    taking = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    assert not taking.done()
    box.put("yard", 7)
    async with asyncio.timeout(60):
        assert await taking == ("yard", 7)


async def test_what_is_discarded_is_not_read() -> None:
    box: Mailbox[str, int] = Mailbox()
    box.put("yard", 1)
    box.discard("yard")
    box.discard("never there")
    assert len(box) == 0


@given(st.lists(st.sampled_from("abc"), max_size=50))
def test_no_more_waits_than_there_are_cameras_and_nothing_is_lost_uncounted(keys: str) -> None:
    async def play() -> None:
        box: Mailbox[str, int] = Mailbox()
        for number, key in enumerate(keys):
            box.put(key, number)
        assert len(box) == len(set(keys))
        assert len(box) + box.overwritten.total() == len(keys)

    asyncio.run(play())


@given(st.lists(st.sampled_from(["a", "b", "c", "take", "discard a"]), max_size=60))
def test_the_newest_value_is_taken_of_the_key_that_has_waited_longest(steps: list[str]) -> None:
    async def play() -> None:
        box: Mailbox[str, int] = Mailbox()
        queue: list[str] = []
        newest: dict[str, int] = {}
        for number, step in enumerate(steps):
            if step == "take":
                if queue:
                    key = queue.pop(0)
                    assert await box.take() == (key, newest.pop(key))
            elif step == "discard a":
                box.discard("a")
                queue = [key for key in queue if key != "a"]
                newest.pop("a", None)
            else:
                assert box.put(step, number) == newest.get(step)
                queue += [] if step in queue else [step]
                newest[step] = number
            assert len(box) == len(queue)

    asyncio.run(play())


async def test_some_are_taken_in_turn_and_no_more_than_wanted() -> None:
    box: Mailbox[str, int] = Mailbox()
    for number, key in enumerate(["a", "b", "c"]):
        box.put(key, number)

    assert await box.take_some(2) == [("a", 0), ("b", 1)]
    assert await box.take_some(2) == [("c", 2)]


async def test_taking_some_waits_for_the_first() -> None:
    box: Mailbox[str, int] = Mailbox()
    taking = asyncio.create_task(box.take_some(4))
    await asyncio.sleep(0)
    box.put("yard", 1)

    assert await taking == [("yard", 1)]


async def test_a_preferred_camera_has_two_of_three_turns() -> None:
    box: Mailbox[str, int] = Mailbox()
    box.prefer("d", preferred=True)
    served = ""
    for number in range(9):
        for key in "abcd":
            box.put(key, number)
        served += (await box.take())[0]
    assert served == "ddaddbddc"
    box.prefer("d", preferred=False)
    for key in "abcd":
        box.put(key, 9)
    assert "".join([(await box.take())[0] for _ in range(4)]) == "abdc"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcde")), max_size=80))
def test_whoever_is_preferred_everybody_is_served(steps: list[tuple[bool, str]]) -> None:
    async def play() -> None:
        box: Mailbox[str, int] = Mailbox()
        waited = dict.fromkeys("abcde", 0)
        for preferred, key in steps:
            box.prefer(key, preferred=preferred)
            for each in "abcde":
                box.put(each, 0)
            served, _ = await box.take()
            waited = {each: n + 1 for each, n in waited.items()} | {served: 0}
            # Each of the four others goes first once, and two preferred ones before each of them.
            assert max(waited.values()) <= 4 * 3 + 2

    asyncio.run(play())
