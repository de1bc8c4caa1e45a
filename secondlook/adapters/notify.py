"""Tells systemd how a service is, as sd_notify does; silent where nobody asked."""

import contextlib
import os
import socket

SOCKET = "NOTIFY_SOCKET"


def tell(*said: str) -> None:
    """Send assignments such as `READY=1`; a supervisor that does not listen holds nobody up."""
    address = os.environ.get(SOCKET, "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
    ):
        sender.setblocking(False)
        sender.sendto("\n".join(said).encode(), address)
