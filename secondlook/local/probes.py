"""Ports of this machine: which are free, and whether something answers on one."""

import asyncio
import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"
PROBE_S = 1.0
"""Loopback answers at once or not at all."""


def is_free(port: int) -> bool:
    """Tell whether a program could listen on this loopback port."""
    with socket.socket() as probe:
        # As servers do, so that a port whose last connections linger counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port(prefer: int | None = None, taken: frozenset[int] = frozenset()) -> int:
    """Return a free loopback port: `prefer` if it is free, else any.

    Not from the range the kernel gives to outgoing connections (32768 and up): between this
    look and the server's bind one of those could take it.

    Raises:
        OSError: No port is free.
    """
    if prefer is not None and prefer not in taken and is_free(prefer):
        return prefer
    for port in random.sample(range(20_000, 32_000), 1_000):
        if port not in taken and is_free(port):
            return port
    raise OSError("no free port on the loopback interface")


async def answers(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether something accepts connections there."""
    try:
        async with asyncio.timeout(PROBE_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def says_ok(port: int, path: str, host: str = LOOPBACK) -> bool:
    """Tell whether a GET is answered with 200."""
    try:
        async with asyncio.timeout(PROBE_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    return b" 200 " in status
