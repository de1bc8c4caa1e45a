"""What `secondlook watch` knows, and how it looks. No bus, no clock: both come in."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from secondlook.commands.counted import Counted
from secondlook.commands.lines import OUTCOMES, alert_line, verdict_line
from secondlook.messages import Alert, FrameRef, Stats, Verdict, moment_of

RATE_OVER_S = 5.0
LAST = 10
"""Verdicts and alerts that stay in view, at least."""
ROOM = 12
"""Lines of the view that are no such lines, with one camera."""
SERVICES = ("producers", "detector", "triton", "classifier")


@dataclass
class Rate:
    """How many in the last seconds, and how long each took."""

    _seen: deque[tuple[float, float]] = field(default_factory=deque)

    def count(self, now_s: float, delay_ms: float = 0.0) -> None:
        """Count one."""
        self._seen.append((now_s, delay_ms))
        self._forget(now_s)

    def per_second(self, now_s: float) -> float:
        """Return how many there were per second."""
        self._forget(now_s)
        return len(self._seen) / RATE_OVER_S

    def delay_ms(self, now_s: float) -> float | None:
        """Return the mean delay; None if there was none."""
        self._forget(now_s)
        return sum(delay for _, delay in self._seen) / len(self._seen) if self._seen else None

    def _forget(self, now_s: float) -> None:
        while self._seen and self._seen[0][0] <= now_s - RATE_OVER_S:
            self._seen.popleft()


@dataclass
class Watched:
    """One camera."""

    status: str = "unknown"
    armed: bool = True
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
    lines: deque[Text] = field(default_factory=lambda: deque(maxlen=500))
    counted: Counted = field(default_factory=Counted)

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

    def saw_setting(self, levels: Mapping[str, str], value: JsonValue) -> Text | None:
        """Note a value in force; return a line if a camera was armed or disarmed."""
        if levels["key"] != "armed" or not isinstance(value, bool):
            return None
        camera = self.camera(levels["camera"])
        before, camera.armed = camera.armed, value
        said = f"camera {levels['camera']}: {'armed' if value else 'disarmed'}"
        return None if before == value else Text(said)

    def saw_state(self, camera: str, label: str, state: str) -> None:
        """Note whether an episode is open."""
        labels = self.camera(camera).on
        labels.add(label) if state == "ON" else labels.discard(label)

    def saw_frame(self, frame: FrameRef, received_ns: int, now_s: float) -> None:
        """Note a frame."""
        delay_ms = max(0, received_ns - frame.captured_ns) / 1e6
        self.camera(frame.camera).frames.count(now_s, delay_ms)

    def saw_stats(self, stats: Stats) -> None:
        """Note what a service counts."""
        self.counted.take(stats)

    def saw_verdict(self, verdict: Verdict, now_s: float) -> Text:
        """Note a look; return its line."""
        camera = self.camera(verdict.camera)
        camera.last = verdict
        camera.looks.count(now_s, verdict.latency_ms.decided)
        return self._line(verdict_line(verdict, _clock(verdict.frame.id)))

    def saw_alert(self, alert: Alert) -> Text:
        """Note an alert; return its line."""
        self.camera(alert.camera).alerts += alert.event == "new"
        return self._line(alert_line(alert, f"{alert.updated_at.astimezone():%H:%M:%S}"))

    def _frames(self, name: str, now_s: float) -> str:
        """Return the rate of frames; from the numbers where this user may not hear of each."""
        frames = self.camera(name).frames
        told = self.counted.growth("producers", "frames_sent_total", camera=name)
        if frames.delay_ms(now_s) is None and told is not None:
            return f"{told:.1f}/s"
        return _rate(frames, now_s)

    def _line(self, line: Text) -> Text:
        self.lines.append(line)
        return line

    def render(self, now_s: float, where: str, height: int = 0, *, connected: bool) -> Group:
        """Return the whole view.

        Args:
            now_s: A clock that only goes forward.
            where: The broker's address.
            height: Lines of the terminal; more of it means more looks and alerts.
            connected: Whether the broker is there.
        """
        table = Table(
            *("camera", "status", "frames", "dropped", "looks", "last look", "open", "alerts")
        )
        for name, camera in sorted(self.cameras.items()):
            dropped = self.counted.dropped(name)
            table.add_row(
                name,
                _status(camera.status) + Text("" if camera.armed else ", disarmed", style="yellow"),
                self._frames(name, now_s),
                Text(
                    "…" if dropped is None else f"{dropped:.1f}/s", style="red" if dropped else ""
                ),
                _rate(camera.looks, now_s),
                _last(camera.last),
                Text(", ".join(sorted(camera.on)), style="bold red"),
                str(camera.alerts),
            )
        services = Text("  ").join(
            Text.assemble(f"{name} ", _status(status)) for name, status in self.services.items()
        )
        broker = Text.assemble(f"broker {where} ", _status("online" if connected else "offline"))
        shown = list(self.lines)[-max(LAST, height - ROOM - len(self.cameras)) :]
        lines = Group(*shown) if shown else Text("no look yet", style="dim")
        for line in shown:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(broker, services, table, Panel(lines, title="last looks and alerts"))


def _rate(rate: Rate, now_s: float) -> str:
    delay_ms = rate.delay_ms(now_s)
    after = "" if delay_ms is None else f", {delay_ms:.0f} ms"
    return f"{rate.per_second(now_s):.1f}/s{after}"


def _status(status: str) -> Text:
    return Text(status, style={"online": "green", "offline": "bold red"}.get(status, "yellow"))


def _last(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("")
    return Text(f"{verdict.label} {verdict.score:.2f}", style=OUTCOMES[verdict.outcome])


def _clock(frame_id: str) -> str:
    captured_ns = int(frame_id.rpartition("-")[2])
    return f"{moment_of(captured_ns).astimezone():%H:%M:%S}"
