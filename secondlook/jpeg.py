"""What stands in the head of a JPEG: its size and its comment. Decodes nothing. Pure."""

from secondlook.errors import Unreadable

SOI = b"\xff\xd8"
MARKER, COM, SOS = 0xFF, 0xFE, 0xDA
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Return (width, height) as a JPEG's header states them, without decoding it.

    Marker segments are those of ITU-T T.81, annex B.

    Raises:
        Unreadable: It is no JPEG, or has no frame header.
    """
    if not jpeg.startswith(SOI):
        raise Unreadable("not a JPEG")
    at = 2
    while at + 4 <= len(jpeg):
        if jpeg[at] != MARKER:
            break
        marker = jpeg[at + 1]
        if marker == MARKER:
            at += 1
            continue
        if marker in _STANDALONE:
            at += 2
            continue
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker in _SIZES and at + 9 <= len(jpeg):
            height = int.from_bytes(jpeg[at + 5 : at + 7], "big")
            return int.from_bytes(jpeg[at + 7 : at + 9], "big"), height
        at += 2 + length
    raise Unreadable("a JPEG without a frame header")


def with_comment(jpeg: bytes, comment: str) -> bytes:
    """Return a JPEG with a comment segment (COM, ITU-T T.81 B.2.4.5) right after its start."""
    text = comment.encode()
    return SOI + bytes([MARKER, COM]) + (len(text) + 2).to_bytes(2, "big") + text + jpeg[len(SOI) :]


def comment_of(jpeg: bytes) -> str | None:
    """Return the first comment of a JPEG that has one before its picture."""
    at = len(SOI)
    while jpeg.startswith(SOI) and at + 4 <= len(jpeg) and jpeg[at] == MARKER:
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] == COM:
            return jpeg[at + 4 : at + 2 + length].decode(errors="replace")
        if jpeg[at + 1] == SOS:
            return None
        at += 2 + length
    return None
