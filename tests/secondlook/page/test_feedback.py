import json

import pytest
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from secondlook.page.feedback import TOKEN_HEADER, check, new_token, read
from secondlook.samples import ALERT_ID

TOKEN = "the-token"
GOOD = {"host": "localhost:8090", "content-type": "application/json", TOKEN_HEADER: TOKEN}


def refused(changes: dict[str, str | None], token: str | None = TOKEN) -> int | None:
    headers = {name: value for name, value in (GOOD | changes).items() if value is not None}
    try:
        check(Headers(headers), token)
    except HTTPException as error:
        return error.status_code
    return None


def test_the_page_may_give_feedback() -> None:
    assert refused({}) is None
    assert refused({"origin": "http://localhost:8090"}) is None
    assert refused({"content-type": "application/json; charset=utf-8"}) is None


@pytest.mark.parametrize("token", [None, "", "x", "the-toke", "the-token ", "THE-TOKEN", "\u00fc"])
def test_without_the_token_nobody_may(token: str | None) -> None:
    assert refused({TOKEN_HEADER: token}) == 403


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/json",
    ],
)
def test_what_a_form_can_send_is_refused(kind: str | None) -> None:
    assert refused({"content-type": kind}) == 415


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost.evil.example", ""]
)
def test_another_origin_may_not(origin: str) -> None:
    assert refused({"origin": origin}) == 403


def test_where_feedback_is_off_nobody_may() -> None:
    assert refused({}, token=None) == 403
    assert refused({TOKEN_HEADER: ""}, token=None) == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        json.dumps({"id": ALERT_ID}).encode(),
        json.dumps({"id": ALERT_ID, "truth": "maybe"}).encode(),
        json.dumps({"id": "../../etc/passwd", "truth": "true_alarm"}).encode(),
        json.dumps({"id": ["x"], "truth": "true_alarm"}).encode(),
        b"[" * 900,
    ],
)
def test_what_is_no_feedback_is_refused_without_repeating_it(body: bytes) -> None:
    with pytest.raises(HTTPException) as error:
        read(body)
    assert error.value.status_code == 400
    assert "passwd" not in error.value.detail


def test_feedback_is_read() -> None:
    given = read(json.dumps({"id": ALERT_ID, "truth": "false_alarm"}).encode())

    assert (given.id, given.truth) == (ALERT_ID, "false_alarm")


def test_tokens_cannot_be_guessed() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) >= 40
