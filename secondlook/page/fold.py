"""Folds messages into what the page shows. Pure: told of everything, the time included."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from pydantic import JsonValue, ValidationError

from secondlook.messages import (
    Alert,
    Blind,
    Counters,
    Forgotten,
    FrameRef,
    Stats,
    Verdict,
)
from secondlook.page.album import Album
from secondlook.page.entries import Entries, Part
from secondlook.page.framing import Frames
from secondlook.page.numbers import digest
from secondlook.page.summary import Seen, summarise
from secondlook.page.views import View, alert_view, blind_view, counters_view, look_view

Truth = Literal["true_alarm", "false_alarm"]
TRUTHS: tuple[Truth, ...] = get_args(Truth)
SERVICES = ("producers", "detector", "triton", "classifier")
MOST: Mapping[Part, int] = {"alerts": 100, "looks": 120, "blind": 50}
NO_BROKER = "the page had no broker: blind times told meanwhile are missing here"


@dataclass
class _Camera:
    online: bool | None = None
    states: dict[str, bool] = field(default_factory=dict)
    """By label, whether an episode is open, as far as it was said."""
    armed: bool = True
    today: View | None = None
    frames: Frames = field(default_factory=Frames)


@dataclass
class _Service:
    online: bool | None = None
    reports: deque[Stats] = field(default_factory=lambda: deque(maxlen=2))


class Fold:
    """What is known, kept in `entries` for the viewers.

    Args:
        cameras: Those of the configuration; what is said of others is ignored.
        about: What the browser is told of the page itself.
        now_s: Unix time.
    """

    def __init__(self, cameras: Iterable[str], about: View, now_s: float) -> None:
        self.entries = Entries(MOST)
        self.album = Album()
        self._cameras = {name: _Camera() for name in sorted(cameras)}
        self._services = {name: _Service() for name in SERVICES}
        self._alerts: dict[str, Alert] = {}
        self._truths: dict[str, Truth] = {}
        self._connected = False
        self._since_s = now_s
        self._was_connected = False
        self._monotonic_s = 0.0
        self._today = ""
        self.entries.put("about", "page", about)
        self._show_broker()
        for name in SERVICES:
            self._show_service(name)
        self._show_cameras()

    # What the bus says.

    def broker(self, *, connected: bool, now_s: float) -> None:
        """Note whether there is a broker; a time without one is told like a blind time."""
        if connected == self._connected:
            return
        if connected and self._was_connected:
            gap: View = {"camera": None, "from": self._since_s, "to": now_s, "why": NO_BROKER}
            self.entries.put("blind", f"broker {self._since_s}", gap, order=now_s)
        self._connected, self._since_s = connected, now_s
        self._was_connected = self._was_connected or connected
        self._show_broker()
        self._show_cameras()

    def service_status(self, name: str, *, online: bool) -> None:
        """Take the status of a service."""
        if name in self._services:
            self._services[name].online = online
            self._show_service(name)
            self._show_cameras()

    def stats(self, name: str, stats: Stats) -> None:
        """Take a report of a service."""
        if name in self._services and name == stats.service:
            self._services[name].reports.append(stats)
            self._show_service(name)

    def camera_status(self, camera: str, *, online: bool) -> None:
        """Take the status of a camera."""
        if camera in self._cameras:
            self._cameras[camera].online = online
            self._show_cameras()

    def state(self, camera: str, label: str, *, on: bool) -> None:
        """Note whether an episode of a label is open."""
        if camera not in self._cameras:
            return
        self._cameras[camera].states[label] = on
        for alert in list(self._alerts.values()):
            if (alert.camera, alert.label) == (camera, label):
                self._show_alert(alert)
        self._show_cameras()

    def setting(self, camera: str, key: str, value: JsonValue) -> None:
        """Take a value in force of a camera, or the answer that alerts were deleted."""
        if camera not in self._cameras:
            return
        if key == "armed" and isinstance(value, bool):
            self._cameras[camera].armed = value
            self._show_cameras()
        if key == "forget":
            try:
                self._forget(camera, Forgotten.model_validate(value))
            except ValidationError:
                return

    def counters(self, counters: Counters) -> None:
        """Take what a camera saw today."""
        if counters.camera in self._cameras:
            self._cameras[counters.camera].today = counters_view(counters)
            self._show_cameras()

    def frame(self, ref: FrameRef, monotonic_s: float) -> None:
        """Note that a frame was announced."""
        if ref.camera in self._cameras:
            self._cameras[ref.camera].frames.came(ref, monotonic_s)

    def verdict(self, verdict: Verdict) -> None:
        """Take a look."""
        if verdict.camera in self._cameras:
            self._cameras[verdict.camera].frames.judged(verdict.frame.id)
            view = look_view(verdict)
            self.entries.put("looks", verdict.id, view, order=verdict.frame.captured_at.timestamp())

    def blind(self, blind: Blind) -> None:
        """Take a time in which a camera could not be seen."""
        if blind.camera in self._cameras:
            view = blind_view(blind)
            name = f"{blind.camera} {view['from']} {view['to']} {blind.why}"
            self.entries.put("blind", name, view, order=blind.to.timestamp())

    def snapshot(self, camera: str, jpeg: bytes) -> None:
        """Take the picture of a camera's last alert; empty: it was deleted."""
        if camera not in self._cameras:
            return
        if jpeg:
            self.album.add(camera, jpeg)
        else:
            self.album.forget(camera)
        for alert in list(self._alerts.values()):
            if alert.camera == camera:
                self._show_alert(alert)
        self._show_cameras()

    def alert(self, alert: Alert) -> None:
        """Take a message about an episode; older ones than those known are ignored."""
        known = self._alerts.get(alert.id)
        if alert.camera not in self._cameras or (known and alert.sequence <= known.sequence):
            return
        self._alerts[alert.id] = alert
        self._show_alert(alert)
        self.album.keep_only({each.snapshot_id for each in self._alerts.values()})

    # What the page itself does.

    def told(self, alert_id: str, truth: Truth) -> None:
        """Note what a human said that an alert was."""
        if alert_id in self._alerts:
            self._truths[alert_id] = truth
            self._show_alert(self._alerts[alert_id])

    def knows(self, alert_id: str) -> bool:
        """Tell whether an alert is on the page."""
        return alert_id in self._alerts

    def frames(self) -> dict[str, Frames]:
        """Return the frames of each camera."""
        return {name: camera.frames for name, camera in self._cameras.items()}

    def tick(self, monotonic_s: float, today: str) -> None:
        """Let time pass; at least once a second.

        Args:
            monotonic_s: The clock of the frames.
            today: The date that the counters count, such as `2026-11-22`.
        """
        self._monotonic_s, self._today = monotonic_s, today
        self._show_cameras()

    # How it is shown.

    def _show_broker(self) -> None:
        self.entries.put("broker", "broker", {"connected": self._connected, "since": self._since_s})

    def _show_service(self, name: str) -> None:
        service = self._services[name]
        view: View = {"online": service.online, "version": None, "heard": None}
        if service.reports:
            newest = service.reports[-1]
            said = digest(newest, service.reports[0] if len(service.reports) > 1 else None)
            view |= {"version": newest.version, "heard": newest.at.timestamp()}
            view |= {"work": said.work, "troubles": list(said.troubles)}
        self.entries.put("services", name, view)

    def _show_cameras(self) -> None:
        services = {name: service.online for name, service in self._services.items()}
        seen = []
        for name, camera in self._cameras.items():
            on = sorted(label for label, is_on in camera.states.items() if is_on)
            why = self._why_unwatched(camera, services)
            seen.append(Seen(name, why, on))
            today = camera.today
            view: View = {
                "online": camera.online,
                "unwatched": why,
                "on": list(on),
                "armed": camera.armed,
                "rate": round(camera.frames.rate(self._monotonic_s), 1),
                "today": today if today and today["date"] == self._today else None,
                "picture": self.album.newest(name),
            }
            self.entries.put("cameras", name, view)
        lines: list[JsonValue] = [line.view() for line in summarise(seen, self._connected)]
        self.entries.put("about", "summary", lines)

    def _why_unwatched(self, camera: _Camera, services: Mapping[str, bool | None]) -> str | None:
        """Return why nobody watches a camera; None: it is watched."""
        if not self._connected:
            return "the broker is away"
        for name, online in services.items():
            if not online:
                verb = "are" if name == "producers" else "is"
                shown = {"triton": "Triton", "producers": "the producers"}.get(name, f"the {name}")
                return f"{shown} {verb} {'offline' if online is False else 'not heard yet'}"
        if not camera.online:
            return "the camera is " + ("offline" if camera.online is False else "not heard yet")
        return None

    def _show_alert(self, alert: Alert) -> None:
        picture = alert.snapshot_id in self.album
        view = alert_view(alert, picture=picture, truth=self._truths.get(alert.id))
        if alert.status == "confirmed" and not alert.test:
            # Its end may have been missed; that none of its label is open is said for ever.
            states = self._cameras[alert.camera].states
            view["open"] = bool(view["open"]) and states.get(alert.label, True)
        order = alert.started_at.timestamp()
        for dropped in self.entries.put("alerts", alert.id, view, order=order):
            self._drop(dropped)

    def _forget(self, camera: str, what: Forgotten) -> None:
        for alert in list(self._alerts.values()):
            if alert.camera == camera and _is_meant(alert, what):
                self.entries.drop("alerts", alert.id)
                self._drop(alert.id)
        self._show_cameras()

    def _drop(self, alert_id: str) -> None:
        alert = self._alerts.pop(alert_id)
        self.album.remove(alert.snapshot_id)
        self._truths.pop(alert_id, None)


def _is_meant(alert: Alert, what: Forgotten) -> bool:
    """Tell whether an alert is among those that were deleted; a later one is not."""
    if alert.updated_at > what.at:
        return False
    if what.id is not None:
        return alert.id == what.id
    return what.before is None or alert.started_at < what.before
