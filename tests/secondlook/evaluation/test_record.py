import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.config import Alerts
from secondlook.errors import ConfigError
from secondlook.evaluation.record import Cropped, Finished, Started, read, without_pixels
from secondlook.model_spec import ModelParameters
from secondlook.samples import CROP

STARTED = Started(
    version="1",
    at="2026-11-23T09:00:00.000Z",
    machine="m",
    mode="fast",
    parallel=1,
    alerts=Alerts(),
    relook_s=1,
    min_score=0.25,
    operating_point=0.25,
    detector="d 1",
    classifier="c 1",
    parameters=ModelParameters(labels=("a", "b")),
)
"""The first line of a record."""
FINISHED = Finished(complete=True, seconds=1.5, lost={"detector: overwritten": 2})


def test_what_is_written_is_read_again() -> None:
    lines = [STARTED, FINISHED]

    assert list(read(line.line() for line in lines)) == lines


def test_a_crop_stands_in_the_record_without_its_pixels() -> None:
    line = Cropped(crop=without_pixels(CROP), picture="crops/1.jpg")

    (again,) = read([line.line()])
    assert again == line
    assert again.crop.jpeg == b""
    assert len(line.line()) < 2000


def test_a_last_line_that_was_cut_off_is_left_out() -> None:
    assert list(read([STARTED.line(), b'{"kind": "fini'])) == [STARTED]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"rubbish\n"], id="no-record-at-all"),
        pytest.param([STARTED.line(), b"{}\n", FINISHED.line()], id="rubbish-in-between"),
    ],
)
def test_what_is_no_record_is_refused(lines) -> None:
    with pytest.raises(ConfigError, match="is no line of a recorded run"):
        list(read(lines))


@given(st.integers(1, 200))
def test_a_record_that_was_cut_anywhere_gives_its_whole_lines(left_out: int) -> None:
    lines = [STARTED, Cropped(crop=without_pixels(CROP), picture="crops/1.jpg"), FINISHED]
    text = b"".join(line.line() for line in lines)
    cut = text[: max(len(STARTED.line()), len(text) - left_out)]
    whole = cut.count(b"\n")
    found = list(read(cut.splitlines(keepends=True)))
    # The last line may have lost no more than its end.
    assert found in (lines[:whole], lines[: whole + 1])
