"""When a camera could not be seen, and why. Told the time; publishes nothing."""

from collections.abc import Collection, Sequence

from secondlook.messages import Blind, BlindNow, moment_of

SHORTEST_NS = 500_000_000
"""What is over sooner (a service that says `offline` and `online` at once) is not told."""
CAMERA = "the camera was offline"
CLASSIFIER = "the classifier was not running"
UNJUDGED = "crops were dropped without a verdict"
QUIET_NS = 10_000_000_000
"""Drops that follow each other within this are told as one blind time."""
LOOK_NS = 1_000_000_000
"""A living track is looked at this often: what one dropped crop would have shown."""
SERVICES = {
    "producers": "the producers were offline",
    "detector": "the detector was offline",
    "triton": "Triton did not answer the detector",
}
"""Why every camera is blind while the status of one of these is `offline`."""


class Blindness:
    """What keeps each camera from being seen now, and since when.

    Args:
        cameras: The configured ones; no other is known.
    """

    def __init__(self, cameras: Collection[str]) -> None:
        self._cameras = tuple(cameras)
        self._since: dict[tuple[str, str], int] = {}
        self._unjudged: dict[str, tuple[int, int, int]] = {}
        """By camera: the first and the last capture dropped, and when the last drop was."""
        self._touched: set[tuple[str, str]] = set()
        self._said: dict[str, BlindNow] = {}

    def camera(self, camera: str, *, online: bool, at_ns: int) -> list[Blind]:
        """Take a camera's status; return what is over with it."""
        if camera not in self._cameras:
            return []
        return self._note([camera], CAMERA, over=online, at_ns=at_ns)

    def service(self, service: str, *, online: bool, at_ns: int) -> list[Blind]:
        """Take a service's status; return what is over with it."""
        why = SERVICES.get(service)
        return self._note(self._cameras, why, over=online, at_ns=at_ns) if why else []

    def classifier_was_away(self, last_ns: int, now_ns: int) -> list[Blind]:
        """Tell the time since the last heartbeat of the process before this one."""
        told = (record(camera, last_ns, now_ns, CLASSIFIER) for camera in self._cameras)
        return [each for each in told if each]

    def unjudged(self, camera: str, captured_ns: int, now_ns: int) -> None:
        """Note that a crop was dropped without a verdict."""
        first, last, _ = self._unjudged.get(camera, (captured_ns, captured_ns, now_ns))
        self._unjudged[camera] = (min(first, captured_ns), max(last, captured_ns), now_ns)

    def settle(self, now_ns: int) -> list[Blind]:
        """Return the times of dropped crops, once no more are dropped."""
        told: list[Blind] = []
        for camera, (first, last, noted_ns) in list(self._unjudged.items()):
            if now_ns - noted_ns >= QUIET_NS:
                del self._unjudged[camera]
                blind = record(camera, first, last + LOOK_NS, UNJUDGED)
                told += [blind] if blind else []
        return told

    def _note(self, cameras: Sequence[str], why: str, *, over: bool, at_ns: int) -> list[Blind]:
        told: list[Blind] = []
        for camera in cameras:
            key = (camera, why)
            if over == (key not in self._since):
                continue
            self._touched.add(key)
            if not over:
                self._since[key] = at_ns
            elif (blind := record(camera, self._since.pop(key), at_ns, why)) is not None:
                told.append(blind)
        return told

    def take_news(self) -> list[BlindNow]:
        """Return of each camera whether it is blind, if that is not what was said last."""
        news = [
            each for each in map(self._now, self._cameras) if self._said.get(each.camera) != each
        ]
        self._said.update({each.camera: each for each in news})
        return news

    def _now(self, camera: str) -> BlindNow:
        mine = {why: at_ns for (name, why), at_ns in self._since.items() if name == camera}
        since = moment_of(min(mine.values())) if mine else None
        return BlindNow(camera=camera, blind=bool(mine), since=since, why=tuple(sorted(mine)))

    def take_changes(self, camera: str) -> list[tuple[str, str, bytes | None]]:
        """Return (kind, key, value) of what changed since the last call; None: over."""
        mine = sorted(key for key in self._touched if key[0] == camera)
        self._touched.difference_update(mine)
        return [
            (
                "blind",
                why,
                str(self._since[mine_, why]).encode() if (mine_, why) in self._since else None,
            )
            for mine_, why in mine
        ]

    def restore(self, camera: str, why: str, value: bytes) -> None:
        """Take back one row of `take_changes`.

        Raises:
            ValueError: It is not one of ours.
        """
        if camera in self._cameras:
            self._since[camera, why] = int(value)


def record(camera: str, from_ns: int, to_ns: int, why: str) -> Blind | None:
    """Return the message about a blind time; None if it is too short to tell."""
    if to_ns - from_ns < SHORTEST_NS:
        return None
    return Blind(camera=camera, from_=moment_of(from_ns), to=moment_of(to_ns), why=why)
