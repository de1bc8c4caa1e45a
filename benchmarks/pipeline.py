"""The whole pipeline on the demo clip: frames/s, CPU time per frame by stage, alarm delay.

    python -m benchmarks.pipeline                 # a table
    python -m benchmarks.pipeline --json out.json

Two runs of the real stack (broker, Triton, three services). *Delay*: the clip again and again in
real time at 10 frames/s. *Throughput*: the clip over and over, as fast as the detector takes it;
CPU time comes from the operating system, per process group, over that time.
"""

import asyncio
import json
import statistics
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.counted import Counts, means_ms, scraped
from benchmarks.machine import cpu_seconds, percentile, this_machine
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.subscriptions import Delivery
from secondlook.commands.starting import start_all
from secondlook.config_file import load
from secondlook.local.folders import temporary
from secondlook.local.stack import Stack, Wish, running
from secondlook.messages import Alert

CLIP = Path(__file__).resolve().parents[1] / "producers" / "demo" / "demo.mp4"
PARTS = ("producers", "broker", "triton", "detector", "classifier")


@dataclass
class Measured:
    """What one run gave."""

    frames: float = 0
    seconds: float = 0
    cpu_s: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each part's processes."""
    mean_ms: dict[str, float] = field(default_factory=dict)
    """Means of what the services time, milliseconds (wall clock)."""
    alerts: list[dict[str, float]] = field(default_factory=list)

    @property
    def frames_per_s(self) -> float:
        """Frames that the detector took through its model, per second."""
        return self.frames / self.seconds if self.seconds else 0.0


async def measure(stack: Stack, seconds: float) -> Measured:
    """Measure a running stack for some seconds."""
    loop = asyncio.get_running_loop()

    async def reading() -> tuple[float, dict[str, float], Counts]:
        counts: Counts = {}
        for service in ("detector", "classifier"):
            counts |= await scraped(stack.metrics[service])
        cpu = {name: cpu_seconds([stack.supervisor.pid(name)]) for name in PARTS}
        return loop.time(), cpu, counts

    began, cpu_before, before = await reading()
    await asyncio.sleep(seconds)
    ended, cpu, after = await reading()
    frames = sum(
        value - before.get(key, 0.0)
        for key, value in after.items()
        if key[0] == "detector_frames_total"
    )
    found = Measured(frames, ended - began)
    found.cpu_s = {name: cpu[name] - cpu_before[name] for name in PARTS}
    found.mean_ms = means_ms(before, after)
    return found


async def run(query: str, fps: float, seconds: float, console: Console) -> Measured:
    """Run the stack on the clip and measure it."""
    with temporary("secondlook-benchmark-") as folder:
        path = folder / "config.yaml"
        camera = {"source": f"file:{CLIP}?loop=1{query}", "fps": fps}
        # The clip comes again and again, and each time its guns are to alert.
        settings = {"cameras": {"clip": camera}, "alerts": {"cooldown_s": 0}}
        path.write_text(yaml.safe_dump(settings))
        wish = Wish(config_path=path, config=load(path))
        async with (
            running(wish, folder, lambda *_: None) as stack,
            Bus(stack.mqtt, service="benchmark") as bus,
        ):
            alerts = bus.subscribe(topics.ALERTS)
            await start_all(stack, wish, console, last=["producers"])
            found = await measure(stack, seconds)
            heard = await alerts.batch(10_000) if len(alerts) else []
            found.alerts = [delays(d) for d in heard if d.message.event == "new"]
            return found


def delays(delivery: Delivery[Alert]) -> dict[str, float]:
    """Return the milliseconds from capture to each step of an alert's way."""
    alert, received_ms = delivery.message, delivery.received_ns / 1e6
    steps = {name: ms for name, ms in alert.latency_ms.model_dump().items() if ms is not None}
    return steps | {
        "subscriber": received_ms - 1000 * alert.frame.captured_at.timestamp(),
        "subscriber, from the episode's first look": received_ms
        - 1000 * alert.started_at.timestamp(),
    }


def tables(console: Console, delay: Measured, busy: Measured) -> None:
    """Print what was measured."""
    rows = Table("measure", "value", title="Throughput: one 1280x720 camera, as fast as it goes")
    rows.add_row("frames/s through the detector's model", f"{busy.frames_per_s:.1f}")
    frames = max(1.0, busy.frames)
    for name in PARTS:
        rows.add_row(f"CPU per frame: {name}", f"{1000 * busy.cpu_s[name] / frames:.1f} ms")
    ours = sum(busy.cpu_s[name] for name in ("broker", "detector", "classifier"))
    rows.add_row("CPU per frame: detector, classifier and broker", f"{1000 * ours / frames:.1f} ms")
    for name, ms in sorted(busy.mean_ms.items()):
        rows.add_row(name, f"{ms:.2f} ms")
    console.print(rows)
    rows = Table("from capture to", "median", "p95", title="Delay: the clip at 10 frames/s")
    for key in delay.alerts[0] if delay.alerts else []:
        values = [alert[key] for alert in delay.alerts]
        late = percentile(values, 0.95)
        rows.add_row(key, f"{statistics.median(values):.0f} ms", f"{late:.0f} ms")
    models_ms = sum(delay.mean_ms[f"{name}_inference"] for name in ("detector", "classifier"))
    arrived = statistics.median(alert["subscriber"] for alert in delay.alerts)
    rows.add_row("calls of both models, mean", f"{models_ms:.0f} ms", "")
    rows.add_row("the subscriber, without them", f"{arrived - models_ms:.0f} ms", "")
    console.print(rows)
    console.print(f"{len(delay.alerts)} new alerts in the delay run")


@click.command()
@click.option("--seconds", default=30.0, show_default=True, help="Length of the throughput run.")
@click.option("--delay-seconds", default=70.0, show_default=True, help="Length of the delay run.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Also write JSON.")
def main(seconds: float, delay_seconds: float, json_path: Path | None) -> None:
    """Measure the pipeline on the demo clip."""
    console = Console()
    delay = asyncio.run(run("", 10, delay_seconds, console))
    busy = asyncio.run(run("&realtime=0", 120, seconds, console))
    tables(console, delay, busy)
    machine = this_machine()
    console.print(str(machine))
    if json_path:
        whole = {
            "machine": asdict(machine),
            "delay": asdict(delay),
            "busy": asdict(busy),
        }
        json_path.write_text(json.dumps(whole, indent=2) + "\n")
    sys.exit(0 if busy.frames and delay.alerts else 1)


if __name__ == "__main__":
    main()
