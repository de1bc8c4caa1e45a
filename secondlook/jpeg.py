"""The comment of a JPEG, in which a snapshot carries its id. No I/O, and decodes no picture."""

SOI = b"\xff\xd8"
MARKER, COM, SOS = 0xFF, 0xFE, 0xDA


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
