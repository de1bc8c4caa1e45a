"""The embedded stack on its defaults can be reached from this machine alone."""

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from secondlook.config_file import load
from secondlook.local.broker import mosquitto
from secondlook.local.stack import READY_S, SERVICES, Wish, running
from tests.chaos.rig import family
from tests.integration.stack_models import write_repository

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
LISTENS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
"""The state, in `/proc/net/<kind>`, of a socket that anybody may send to."""


class Ear(NamedTuple):
    """A socket that listens."""

    kind: str
    address: str
    port: int

    @property
    def hears_loopback_alone(self) -> bool:
        address = ipaddress.ip_address(self.address)
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback


def address_of(written: str) -> tuple[str, int]:
    """Read an address as the kernel writes it: words of four bytes, each from its last byte on."""
    host, _, port = written.partition(":")
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    return str(ipaddress.ip_address(b"".join(words))), int(port, 16)


def sockets_of(pid: int) -> Iterator[str]:
    """Yield the inodes of a process's sockets; of one that has just ended, none."""
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


def ears(pids: Iterable[int]) -> set[Ear]:
    """Return everything that processes listen on."""
    ours = {inode for pid in pids for inode in sockets_of(pid)}
    found = set()
    for kind, listening in LISTENS.items():
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == listening and fields[9] in ours:
                found.add(Ear(kind, *address_of(fields[1])))
    return found


@pytest.mark.parametrize(
    ("kind", "family_", "host", "alone"),
    [
        (socket.SOCK_STREAM, socket.AF_INET, "127.0.0.1", True),
        (socket.SOCK_STREAM, socket.AF_INET, "0.0.0.0", False),  # noqa: S104 - to be found
        (socket.SOCK_STREAM, socket.AF_INET6, "::1", True),
        (socket.SOCK_STREAM, socket.AF_INET6, "::", False),
        (socket.SOCK_DGRAM, socket.AF_INET, "0.0.0.0", False),  # noqa: S104 - to be found
    ],
)
def test_a_socket_is_found_with_its_address(
    kind: socket.SocketKind, family_: socket.AddressFamily, host: str, alone: bool
) -> None:
    with socket.socket(family_, kind) as ear:
        try:
            ear.bind((host, 0))
        except OSError as error:
            pytest.skip(f"this machine has no {host}: {error.strerror}")
        if kind == socket.SOCK_STREAM:
            ear.listen()
        port = ear.getsockname()[1]
        [found] = [each for each in ears([os.getpid()]) if each.port == port]
    assert found.address == host
    assert found.hears_loopback_alone == alone


@pytest.mark.parametrize("prefer_amqtt", [False, True], ids=["mosquitto", "amqtt"])
async def test_nothing_listens_beyond_loopback(tmp_path: Path, prefer_amqtt: bool) -> None:
    if not prefer_amqtt and mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    config = tmp_path / "config.yaml"
    config.write_text("cameras: {yard: {source: 'synthetic:?width=320&height=240'}}\n")
    write_repository(tmp_path / "models")
    wish = Wish(config, load(config), models=tmp_path / "models", prefer_amqtt=prefer_amqtt)
    parts = ("broker", "triton", *SERVICES)
    async with running(wish, tmp_path, lambda *_: None) as stack:
        stack.start_broker()
        await stack.start_triton(lambda _: None)
        for name in SERVICES:
            stack.start_service(name)
        for name in parts:
            await stack.supervisor.ready(name, READY_S)
        found = {name: ears(family(stack.supervisor.pid(name) or 0)) for name in parts}
        shown = {address.split("/")[2] for address in stack.metrics.values()}
        own = ears([os.getpid()])
    assert {name: len(each) for name, each in found.items()} == {
        "broker": 1, "triton": 3, **dict.fromkeys(SERVICES, 1),
    }  # fmt: skip
    everything = set().union(*found.values())
    assert {each for each in everything if not each.hears_loopback_alone} == set()
    assert shown <= {f"{each.address}:{each.port}" for each in everything}, "the metrics are among"
    assert {each for each in own if not each.hears_loopback_alone} == set()
