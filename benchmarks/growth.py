"""What happens as there is more to do: more frames than the machine can take, more cameras.

    python -m benchmarks.growth frames     # 0.5 to 3 times what Triton can do, four cameras
    python -m benchmarks.growth cameras    # 1 to 64 cameras that share the same frames/s

The cameras cost nothing (`feeding --link`), so that nothing is measured but the pipeline.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks import ceiling, flow
from benchmarks.machine import percentile, this_machine

CAMERAS, SIZE = 4, "768x432"
TIMES = (0.5, 1.0, 2.0, 3.0)
NUMBERS = (1, 2, 4, 8, 16, 32, 64)


def overloaded(seconds: float, platform: str, console: Console) -> list[flow.Flow]:
    """Offer ever more frames; return what came of each load."""
    [most] = ceiling.measure("yolov5", [CAMERAS], platform_name=platform, seconds=seconds)
    console.print(f"Triton alone: {most.per_s:.1f} frames/s")
    found = []
    for times in TIMES:
        load = flow.Load(CAMERAS, SIZE, times * most.per_s / CAMERAS, 1, link=True)
        found.append(asyncio.run(flow.measure(load, seconds, platform=platform)))
        console.print("\n".join(flow.lines(found[-1])))
    return found


def shared(frames_per_s: float, seconds: float, platform: str, console: Console) -> list[flow.Flow]:
    """Share the same frames/s among ever more cameras; return what came of each load."""
    found = []
    for cameras in NUMBERS:
        load = flow.Load(cameras, SIZE, frames_per_s / cameras, 10, link=True)
        found.append(asyncio.run(flow.measure(load, seconds, platform=platform)))
        console.print("\n".join(flow.lines(found[-1])))
    return found


def table_of(flows: Sequence[flow.Flow]) -> Table:
    """Return one row for each load."""
    table = Table(
        *("cameras", "offered frames/s", "taken", "of each camera", "dropped: newer / too old"),
        *("capture to verdict p50", "p95", "second half by first", "ms a frame"),
    )
    for each in flows:
        by_camera = [frames / each.seconds for frames in each.by_camera.values()] or [0.0]
        gone = (each.dropped.get(cause, 0.0) for cause in ("overwritten", "too_old"))
        table.add_row(
            str(each.load.cameras),
            f"{each.offered / each.seconds:.1f}",
            f"{each.frames_per_s:.1f}",
            f"{min(by_camera):.2f} to {max(by_camera):.2f}",
            " / ".join(f"{number:.0f}" for number in gone),
            f"{percentile(each.delays_ms, 0.5):.0f} ms",
            f"{percentile(each.delays_ms, 0.95):.0f} ms",
            f"{each.growth:.2f}",
            f"{each.cpu_ms:.2f}",
        )
    return table


@click.command()
@click.argument("more", type=click.Choice(["frames", "cameras"]))
@click.option("--seconds", default=15.0, show_default=True, help="Of each measurement.")
@click.option("--frames-per-s", default=8.0, show_default=True, help="That cameras share.")
@click.option("--platform", default="python", show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Also write JSON.")
def main(
    *, more: str, seconds: float, frames_per_s: float, platform: str, json_path: Path | None
) -> None:
    """Measure how it bears more of something."""
    console = Console()
    if more == "frames":
        found = overloaded(seconds, platform, console)
    else:
        found = shared(frames_per_s, seconds, platform, console)
    console.print(table_of(found))
    machine = this_machine()
    console.print(f"{machine}; {SIZE}, {seconds:g} s each")
    if json_path:
        whole = {"machine": asdict(machine), "flows": [asdict(each) for each in found]}
        json_path.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
