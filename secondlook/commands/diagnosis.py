"""What the state of a running system means, in sentences. No bus, no clock: facts come in."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from secondlook.commands.counted import DROPPED, Counted, samples
from secondlook.commands.finding import Finding
from secondlook.config import Camera
from secondlook.messages import Blind, DeadLetter, Verdict

SERVICES = ("producers", "detector", "triton", "classifier")
SLOW = 0.7
"""A camera that gives less than this part of its `fps` is slow."""
MUCH_LOST = 0.02
"""A larger part of the frames is not lost by chance."""
OLD_S = 30.0
"""A message that waits longer than this has a reason."""
MANY_WAITING = 50
"""Crops; more than a batch or two."""
OFFLINE = {
    "producers": (
        "no camera is read: producers are offline",
        "whoever starts the services starts them again; if it stays so, their log says why",
    ),
    "detector": (
        "nothing is looked at: the detector is offline",
        "whoever starts the services starts it again; if it stays so, its log says why",
    ),
    "triton": (
        "Triton does not answer the detector: nothing is looked at",
        "is it running at triton.url? its own log says why; often the GPU has no memory left",
    ),
    "classifier": (
        "no alert can be sent: the classifier is offline; crops wait for classifier.hold_s",
        "whoever starts the services starts it again; if it stays so, its log says why",
    ),
}
"""What it means that a service is offline, and what to do."""
LOST = {
    "overwritten": "newer ones come before they are looked at: lower cameras.{camera}.fps, or give "
    "Triton a faster device",
    "too_old": "they wait too long for Triton: lower cameras.{camera}.fps, or give it a faster "
    "device",
    "expired": "they are gone before they are looked at: raise frames.max_mb",
    "store_full": "the frame store is full: raise frames.max_mb, and /dev/shm (shm_size) with it",
    "triton": "Triton does not answer: its log says why",
    "timeout": "Triton answers too late: raise triton.deadline_s, or give it a faster device",
    "blank": "they are black or frozen: look at the camera",
    "late": "the machine cannot decode them in time: lower fps or the camera's resolution",
    "bus": "the broker is away or too slow",
}
"""Why frames are lost, and what to do."""
CONDITIONS = {
    "broker": ("does not reach the broker", "is the broker's address right, and its login?"),
    "triton": (
        "does not reach its model",
        "is Triton running at triton.url, and does it serve the model? `secondlook check` tries it",
    ),
    "database": (
        "cannot write its database",
        "make room on the disk, or lower retention.max_mb; nothing is acknowledged until it can",
    ),
    "capture": ("cannot read a camera", "its log says which and why"),
}


@dataclass(slots=True)
class Facts:
    """What was heard of a system."""

    where: str
    """Address of its broker."""
    root: str
    connected: bool = False
    why: str = ""
    """Why the broker could not be reached."""
    patience_s: float = 0.0
    """How long it was listened to."""
    services: dict[str, str] = field(default_factory=dict)
    cameras: dict[str, str] = field(default_factory=dict)
    armed: dict[str, bool] = field(default_factory=dict)
    open: set[tuple[str, str]] = field(default_factory=set)
    """Camera and label of open episodes."""
    counted: Counted = field(default_factory=Counted)
    verdicts: list[Verdict] = field(default_factory=list)
    blind: list[Blind] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    @property
    def awaited(self) -> list[str]:
        """Those who are online and have not said their numbers twice: only then rates are known."""
        return [
            name
            for name in SERVICES
            if self.services.get(name) == "online"
            and name != "triton"
            and self.counted.growth(name, "bus_connected") is None
        ]

    @property
    def complete(self) -> bool:
        """Whether nothing more is to come."""
        return "online" in self.services.values() and not self.awaited


def diagnose(facts: Facts, configured: Mapping[str, Camera]) -> Iterator[Finding]:
    """Yield what is right, worth knowing and wrong, each with what to do.

    Args:
        facts: What was heard.
        configured: The cameras that should be watched; empty if no configuration is known.
    """
    if not facts.connected:
        why = facts.why.partition("; trying")[0] or f"no broker answers at {facts.where}"
        advice = "is it running? `secondlook up` starts everything; else start the broker"
        yield Finding("wrong", why, advice)
        return
    yield Finding("ok", f"the broker at {facts.where} answers")
    if not facts.services:
        advice = (
            "start it, or say which with --root; a user of the broker may lack the right to read"
        )
        yield Finding("wrong", f"nothing of Second Look is below {facts.root}/", advice)
        return
    yield from _services(facts)
    yield from _cameras(facts, configured)
    yield from _work(facts)


def _services(facts: Facts) -> Iterator[Finding]:
    online = [name for name in SERVICES if facts.services.get(name) == "online"]
    if online:
        said = filter(None, (facts.counted.of(name) for name in online))
        versions = sorted({stats.version for stats in said})
        suffix = f" (version {versions[0]})" if len(versions) == 1 else ""
        yield Finding("ok", f"online: {', '.join(online)}{suffix}")
        if len(versions) > 1:
            advice = "update all of them"
            yield Finding("wrong", f"the services are of versions {', '.join(versions)}", advice)
    for name in SERVICES:
        if name not in online:
            yield Finding("wrong", *OFFLINE[name])
        elif name != "triton" and facts.counted.of(name) is None and facts.patience_s > OLD_S / 2:
            silent = f"{name} is online, but has said no number for {facts.patience_s:.0f} s"
            yield Finding("wrong", silent, "it may hang: its log, or start it again")
        yield from _conditions(facts, name)


def _conditions(facts: Facts, service: str) -> Iterator[Finding]:
    stats = facts.counted.of(service)
    for name, labels, value in samples(stats.counters) if stats else ():
        condition = labels.get("condition", "")
        if name == "condition_ok" and not value and facts.services.get(service) == "online":
            what, advice = CONDITIONS.get(condition, (f"is not ready: {condition}", "see its log"))
            yield Finding("wrong", f"{service} {what}", advice)


def _cameras(facts: Facts, configured: Mapping[str, Camera]) -> Iterator[Finding]:
    for name in configured or facts.cameras:
        yield from _camera(facts, name, configured.get(name))
    for name in facts.cameras if configured else ():
        if name not in configured and facts.cameras[name] == "online":
            advice = "the services run with another configuration than this one"
            yield Finding("note", f"camera {name} is watched, but not configured here", advice)


def _camera(facts: Facts, name: str, camera: Camera | None) -> Iterator[Finding]:
    status = facts.cameras.get(name)
    if status is None:
        advice = "do the producers run with this configuration?"
        yield Finding("wrong", f"camera {name} has never been online", advice)
        return
    if status == "offline":
        # With the producers all cameras are gone, which has been said.
        if facts.services.get("producers") == "online":
            advice = "the producers' log says why: address, login, power, a black picture"
            yield Finding("wrong", f"camera {name} is offline: it is not watched", advice)
        return
    rate = facts.counted.growth("producers", "frames_sent_total", camera=name)
    words = [] if rate is None else [f"{rate:.1f} frames/s"]
    words += _delay([each for each in facts.verdicts if each.camera == name])
    yield Finding("ok", f"camera {name}: {', '.join(['online', *words])}")
    if rate is not None and camera is not None and rate < SLOW * camera.fps:
        advice = "the camera or the network gives no more; with the motion gate fewer is right"
        if not camera.motion.enabled:
            yield Finding(
                "note", f"camera {name} gives {rate:.1f} of {camera.fps:g} frames/s", advice
            )
    yield from _losses(facts, name, rate)
    if facts.armed.get(name) is False:
        how = f"secondlook set {name} armed true"
        yield Finding("note", f"camera {name} is disarmed: watched, but it raises no alert", how)
    for _, label in sorted(each for each in facts.open if each[0] == name):
        yield Finding("note", f"camera {name}: an episode of {label} is open right now")


def _delay(verdicts: Sequence[Verdict]) -> list[str]:
    if not verdicts:
        return []
    mean_ms = sum(each.latency_ms.decided for each in verdicts) / len(verdicts)
    return [f"looks decided {mean_ms:.0f} ms after capture"]


def _losses(facts: Facts, camera: str, sent: float | None) -> Iterator[Finding]:
    lost = facts.counted.dropped(camera)
    if not lost or not sent or lost / (lost + sent) < MUCH_LOST:
        return
    rates = {
        cause: facts.counted.growth(service, name, camera=camera, cause=cause) or 0.0
        for cause in LOST
        for service, name in DROPPED.items()
        if facts.counted.growth(service, name, camera=camera, cause=cause)
    }
    cause = max(rates, key=lambda each: rates[each]) if rates else ""
    advice = LOST.get(cause, "docs/operations.md explains every cause").format(camera=camera)
    said = f"camera {camera} loses {lost:.1f} frames/s" + (f" ({cause})" if cause else "")
    yield Finding("wrong", said, advice)


def _work(facts: Facts) -> Iterator[Finding]:
    counted = facts.counted
    waiting = counted.value("classifier", "classifier_crops_waiting")
    if waiting > MANY_WAITING:
        advice = "the second model is away or too slow: fewer cameras, or a faster device"
        yield Finding("wrong", f"{waiting:.0f} crops wait for a verdict", advice)
    if counted.growth("classifier", "classifier_crops_shed_total"):
        advice = "what they showed is told as blind time; see crops_shed in docs/operations.md"
        yield Finding("wrong", "crops are dropped without a verdict", advice)
    if counted.value("classifier", "classifier_outbox_refused"):
        advice = "let the classifier write there: secondlook broker-config makes the access rules"
        yield Finding("wrong", "the broker refuses alerts", advice)
    elif counted.value("classifier", "classifier_outbox_age_seconds") > OLD_S:
        number = counted.value("classifier", "classifier_outbox_waiting")
        yield Finding("wrong", f"{number:.0f} messages wait for the broker", "its log and its disk")
    spans: defaultdict[tuple[str, str], float] = defaultdict(float)
    for blind in facts.blind:
        spans[blind.camera, blind.why] += (blind.to - blind.from_).total_seconds()
    for (camera, why), seconds in sorted(spans.items()):
        yield Finding("note", f"camera {camera} was blind for {seconds:.0f} s: {why}")
    if facts.letters:
        first = facts.letters[0]
        advice = "find out who sends it; the dead letter shows its first bytes"
        said = f"{len(facts.letters)} messages could not be read, on {first.topic}: {first.reason}"
        yield Finding("wrong", said, advice)
