"""Between the two threads: the newest live picture, every picture of a file, all in order."""

import threading

import numpy as np

from producers.capture.handover import Handover, Picture, Tally
from producers.reports import Ended, Opened

OPENED = Opened(run="r", fps=None)


def picture(number: int) -> Picture:
    return Picture(np.zeros((16, 16, 3), np.uint8), number, number)


def taken(handover: Handover) -> list[object]:
    found: list[object] = []
    while (item := handover.take(0)) is not None:
        found.append(item.media_ns if isinstance(item, Picture) else item)
    return found


def test_a_newer_live_picture_takes_the_place_of_an_unread_one() -> None:
    handover = Handover()
    handover.put(OPENED)
    replaced = [handover.put(picture(n), newest_wins=True) for n in range(3)]
    assert replaced == [False, True, True]
    assert taken(handover) == [OPENED, 2]


def test_events_are_never_replaced_and_keep_their_place() -> None:
    handover = Handover()
    ended = Ended(why="over")
    handover.put(picture(1), newest_wins=True)
    handover.put(ended)
    handover.put(OPENED)
    assert not handover.put(picture(2), newest_wins=True)
    assert taken(handover) == [1, ended, OPENED, 2]


def test_a_file_waits_until_its_picture_is_taken() -> None:
    handover = Handover()
    put: list[int] = []

    def produce() -> None:
        for number in range(50):
            handover.put(picture(number))
            put.append(number)

    producer = threading.Thread(target=produce)
    producer.start()
    got = []
    for _ in range(50):
        item = handover.take(60)
        assert isinstance(item, Picture)
        got.append(item.media_ns)
        assert len(put) <= len(got) + 1
    producer.join(60)
    assert got == list(range(50))


def test_taking_from_an_empty_one_gives_up_in_time() -> None:
    assert Handover().take(0.01) is None


def test_counts_are_given_out_once() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(1000):
            tally.add("seen")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.take() == {"seen": 4000}
    assert tally.take() == {}
