"""What `secondlook watch` knows, and how it looks. No bus, no clock: both come in."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from secondlook.commands.lines import OUTCOMES, alert_line, verdict_line
from secondlook.messages import Alert, Verdict, moment_of

RATE_OVER_S = 5.0
LAST = 10
"""Verdicts and alerts that stay in view."""
SERVICES = ("producers", "detector", "triton", "classifier")


@dataclass
class Rate:
    """How many in the last seconds."""

    _times: deque[float] = field(default_factory=deque)

    def count(self, now_s: float) -> None:
        """Count one."""
        self._times.append(now_s)
        self._forget(now_s)

    def per_second(self, now_s: float) -> float:
        """Return the mean of the last seconds."""
        self._forget(now_s)
        return len(self._times) / RATE_OVER_S

    def _forget(self, now_s: float) -> None:
        while self._times and self._times[0] <= now_s - RATE_OVER_S:
            self._times.popleft()


@dataclass
class Watched:
    """One camera."""

    status: str = "unknown"
    frames: Rate = field(default_factory=Rate)
    looks: Rate = field(default_factory=Rate)
    last: Verdict | None = None
    on: set[str] = field(default_factory=set)
    """Labels with an open episode."""
    alerts: int = 0


@dataclass
class Board:
    """Everything in view."""

    cameras: dict[str, Watched] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SERVICES, "unknown"))
    lines: deque[Text] = field(default_factory=lambda: deque(maxlen=LAST))

    def camera(self, name: str) -> Watched:
        """Return what is known of a camera."""
        return self.cameras.setdefault(name, Watched())

    def saw_status(self, levels: Mapping[str, str], status: str) -> Text | None:
        """Note a service's or a camera's status; return a line if it changed."""
        name = levels.get("camera") or levels["service"]
        if "camera" in levels:
            before, self.camera(name).status = self.camera(name).status, status
        else:
            before, self.services[name] = self.services.get(name, "unknown"), status
        kind = "camera" if "camera" in levels else "service"
        return None if before == status else Text(f"{kind} {name}: {status}")

    def saw_state(self, camera: str, label: str, state: str) -> None:
        """Note whether an episode is open."""
        labels = self.camera(camera).on
        labels.add(label) if state == "ON" else labels.discard(label)

    def saw_verdict(self, verdict: Verdict, now_s: float) -> Text:
        """Note a look; return its line."""
        camera = self.camera(verdict.camera)
        camera.last = verdict
        camera.looks.count(now_s)
        return self._line(verdict_line(verdict, _clock(verdict.frame.id)))

    def saw_alert(self, alert: Alert) -> Text:
        """Note an alert; return its line."""
        self.camera(alert.camera).alerts += alert.event == "new"
        return self._line(alert_line(alert, f"{alert.updated_at.astimezone():%H:%M:%S}"))

    def _line(self, line: Text) -> Text:
        self.lines.append(line)
        return line

    def render(self, now_s: float, where: str, connected: bool) -> Group:
        """Return the whole view."""
        table = Table("camera", "status", "frames/s", "looks/s", "last look", "open", "alerts")
        for name, camera in sorted(self.cameras.items()):
            table.add_row(
                name,
                _status(camera.status),
                f"{camera.frames.per_second(now_s):.1f}",
                f"{camera.looks.per_second(now_s):.1f}",
                _last(camera.last),
                Text(", ".join(sorted(camera.on)), style="bold red"),
                str(camera.alerts),
            )
        services = Text("  ").join(
            Text.assemble(f"{name} ", _status(status)) for name, status in self.services.items()
        )
        broker = Text.assemble(f"broker {where} ", _status("online" if connected else "offline"))
        lines = Group(*self.lines) if self.lines else Text("no look yet", style="dim")
        return Group(broker, services, table, Panel(lines, title="last looks and alerts"))


def _status(status: str) -> Text:
    return Text(status, style={"online": "green", "offline": "bold red"}.get(status, "yellow"))


def _last(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("")
    return Text(f"{verdict.label} {verdict.score:.2f}", style=OUTCOMES[verdict.outcome])


def _clock(frame_id: str) -> str:
    captured_ns = int(frame_id.rpartition("-")[2])
    return f"{moment_of(captured_ns).astimezone():%H:%M:%S}"
