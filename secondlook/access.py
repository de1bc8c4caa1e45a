"""Which broker user may read and write what, from the topic table. Pure: text out, no files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from secondlook.beats import WATCHED
from secondlook.topics import ALL, FEEDBACK, FRAMES, SET, STATUS, Topic

SERVICES = ("producers", "detector", "classifier")
HEALTH = "broker/health"
"""A topic of its own, outside our root: a probe publishes there and hears itself."""
REFUSED: Mapping[str, tuple[Topic[Any], ...]] = {"consumer": (SET, FEEDBACK), "page": (SET,)}
"""What changes how the system behaves is not for everyone who may read its alerts."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the broker."""

    name: str
    purpose: str


USERS = (
    User("producers", "the service that reads the cameras"),
    User("detector", "the service that asks the first model"),
    User("classifier", "the service that asks the second model and writes the alerts"),
    User("homeassistant", "Home Assistant: reads alerts, gives commands and feedback"),
    User("page", "the status page: reads what consumers read, asks for a replay, gives feedback"),
    User("consumer", "a program of yours: reads alerts and asks for a replay, commands nothing"),
    User("operator", "you at the terminal: reads everything, gives commands and feedback"),
    User("health", "the broker's own health check: hears itself on one topic and nothing else"),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A topic filter and what a user may do with it."""

    may: str
    """`read` or `write`."""
    filter: str


def rules(user: str, root: str, discovery: str = "homeassistant") -> list[Rule]:
    """Return what a user may do; everything else is refused.

    Args:
        user: The name of one of `USERS`.
        root: The first level of every topic of ours.
        discovery: The first level of Home Assistant's discovery topics.

    Raises:
        ValueError: There is no such user.
    """
    if user not in {known.name for known in USERS}:
        raise ValueError(f"there is no broker user {user!r}")
    if user == "health":
        return [Rule("read", HEALTH), Rule("write", HEALTH)]
    found = [Rule(may, topic) for kind in ALL for may, topic in _of_topic(user, kind, root)]
    if user == "classifier":
        # It announces its entities and hears when Home Assistant starts.
        found += [
            Rule("write", f"{discovery}/device/+/config"),
            Rule("read", f"{discovery}/status"),
        ]
    if user == "homeassistant":
        found += [Rule("read", f"{discovery}/#"), Rule("write", f"{discovery}/status")]
        # Its automations remember there what they have told.
        found += [Rule(may, f"{root}/homeassistant/+") for may in ("read", "write")]
    return found


def _of_topic(user: str, topic: Topic[Any], root: str) -> Iterator[tuple[str, str]]:
    if user in SERVICES:
        yield from _of_service(user, topic, root)
        return
    everything = user == "operator"
    # The page shows frames: it hears which there are, and reads them where it may.
    if everything or "consumers" in topic.readers or (user == "page" and topic is FRAMES):
        yield "read", topic.filter(root)
    if "consumers" in topic.writers and topic not in REFUSED.get(user, ()):
        yield "write", topic.filter(root)


def _of_service(user: str, topic: Topic[Any], root: str) -> Iterator[tuple[str, str]]:
    if {user, "services"} & set(topic.readers):
        yield "read", topic.filter(root)
    if user in topic.writers:
        yield "write", topic.filter(root)
    if "services" in topic.writers:
        # A service speaks for itself; the detector also says how Triton is, and who watches over
        # others says of them that they are offline.
        others = WATCHED.get(user, ()) if topic is STATUS else ()
        triton = ("triton",) if user == "detector" and topic is STATUS else ()
        for service in (user, *triton, *others):
            yield "write", topic.path(root, service=service)


def acl(root: str, discovery: str = "homeassistant") -> str:
    """Return mosquitto's access file: a user that is not named may do nothing."""
    lines = [
        "# Generated from the topic table by `secondlook broker-config`: change it there.",
        "# Who is not named here may read and write nothing.",
    ]
    for user in USERS:
        lines += ["", f"# {user.purpose}", f"user {user.name}"]
        lines += [f"topic {rule.may} {rule.filter}" for rule in rules(user.name, root, discovery)]
    return "\n".join(lines) + "\n"
