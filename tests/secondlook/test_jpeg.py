"""Heads of JPEGs, of which many come from outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.errors import Unreadable
from secondlook.jpeg import SOI, comment_of, jpeg_size, with_comment
from secondlook.samples import TINY_JPEG

BYTES = st.binary(max_size=200)


@given(comment=st.text(max_size=100))
def test_a_comment_is_read_as_it_was_written(comment: str) -> None:
    assert comment_of(with_comment(TINY_JPEG, comment)) == comment


@given(tail=BYTES)
def test_no_bytes_break_the_reader(tail: bytes) -> None:
    for data in (tail, SOI + tail, with_comment(SOI + tail, "x")):
        found = comment_of(data)
        assert found is None or isinstance(found, str)
        try:
            width, height = jpeg_size(data)
        except Unreadable:
            continue
        assert min(width, height) >= 0
        assert max(width, height) < 2**16


@pytest.mark.parametrize("data", [b"", b"no picture", SOI])
def test_what_is_no_picture_has_no_comment(data: bytes) -> None:
    assert comment_of(data) is None
