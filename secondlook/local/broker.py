"""The embedded broker: mosquitto where it is installed, else amqtt. Loopback only.

mosquitto keeps sessions and queued messages on disk. amqtt is for a first look without root:
it loses unacknowledged messages when a client reconnects.
"""

import os
import shutil
import sys
from functools import partial
from pathlib import Path

from secondlook.local.probes import LOOPBACK, answers
from secondlook.local.supervisor import Part

DURABLE = """\
persistence true
persistence_location {kept}/
# Without both, a killed broker forgets what it acknowledged.
autosave_interval 1
autosave_on_changes true
# The defaults (20 in flight, 1000 queued) drop messages of a burst although the sender is told
# Success. A queue takes memory only while its reader is away; these are its limits per reader.
max_inflight_messages 1000
max_queued_messages 100000
max_queued_bytes 268435456
max_packet_size 4000000
persistent_client_expiration 1d
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
"""
"""What any mosquitto needs that carries alerts."""

MOSQUITTO_CONF = """\
# Written by secondlook at every start.
listener {port} {host}
# Only programs of this machine can connect.
allow_anonymous true
{user}
connection_messages false
"""

AS_ROOT = ("should not be run as root",)
"""It is run as whoever runs the rest, and reachable only from this machine."""


def mosquitto() -> str | None:
    """Return the path of mosquitto, which Debian keeps off the path of users; None without it."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("mosquitto", path=search)


def broker_part(folder: Path, port: int, *, prefer_amqtt: bool = False) -> Part:
    """Return the broker as a part of the stack.

    Args:
        folder: A private folder; what must outlive a killed broker is kept there.
        port: A free loopback port.
        prefer_amqtt: Take amqtt although mosquitto is there.
    """
    ready = partial(answers, port)
    program = None if prefer_amqtt else mosquitto()
    if program is None:
        argv = [sys.executable, "-m", "secondlook.local.amqtt_broker", str(port)]
        return Part("broker", argv, ready, grace_s=2.0, carries=True)
    kept = folder / "mosquitto"
    kept.mkdir(mode=0o700, exist_ok=True)
    conf = folder / "mosquitto.conf"
    # Started as root it would become the user mosquitto, who cannot write in a private folder.
    user = "user root" if os.geteuid() == 0 else ""
    conf.write_text(
        MOSQUITTO_CONF.format(port=port, host=LOOPBACK, user=user) + DURABLE.format(kept=kept),
        encoding="utf-8",
    )
    argv = [program, "-c", str(conf)]
    return Part("broker", argv, ready, grace_s=2.0, carries=True, harmless=AS_ROOT)


def broker_name(*, prefer_amqtt: bool = False) -> str:
    """Return what will be started, in words for the user."""
    if mosquitto() and not prefer_amqtt:
        return "mosquitto"
    return "amqtt: it loses unacknowledged messages on reconnect; install mosquitto for more"
