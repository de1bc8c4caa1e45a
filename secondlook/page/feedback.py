"""What a browser says that an alert was: read with suspicion. Does no I/O.

The token is made when the page starts and is told only to pages of this origin: what another
site makes a browser send does not have it, and cannot ask for it.
"""

import secrets
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from secondlook.errors import Unreadable
from secondlook.messages import Feedback
from secondlook.page.guard import host_name

TOKEN_HEADER = "x-secondlook-token"  # noqa: S105 - the name of a header
MOST_BYTES = 1000
"""Of a request."""


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(32)


def check(headers: Headers, token: str | None) -> None:
    """Let pass who may give feedback.

    Args:
        headers: Of the request.
        token: That of this page; None: nobody may.

    Raises:
        HTTPException: They may not; its text says why.
    """
    if token is None:
        why = "Feedback is off: set page.feedback in the configuration."
        raise HTTPException(HTTPStatus.FORBIDDEN, why)
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON.")
    origin = headers.get("origin")
    if origin is not None and host_name(origin.partition("//")[2]) != host_name(headers["host"]):
        raise HTTPException(HTTPStatus.FORBIDDEN, "Another site asked for this.")
    given = headers.get(TOKEN_HEADER, "")
    if not secrets.compare_digest(given.encode(), token.encode()):
        raise HTTPException(HTTPStatus.FORBIDDEN, "The page is out of date: load it again.")


def read(body: bytes) -> Feedback:
    """Return the feedback in a request.

    Raises:
        HTTPException: It is none.
    """
    try:
        return Feedback.decode(body)
    except Unreadable as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"Not understood: {error}") from error
