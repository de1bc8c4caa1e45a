"""`make chaos`: kills and freezes parts of a running system, and keeps the books."""

import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from secondlook.errors import SecondLookError
from secondlook.local.broker import mosquitto
from tests.chaos import report
from tests.chaos.run import baseline, rounds


@click.command()
@click.option("--rounds", "number", default=20, show_default=True, help="How many faults.")
@click.option("--seed", type=int, help="Repeats a run's faults and scenes; default: a new one.")
@click.option(
    "--baseline",
    "baseline_s",
    default=120.0,
    show_default=True,
    help="Seconds without faults before, which show that the models see every card; 0: none.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep logs, databases and the result as JSON there.",
)
def main(number: int, seed: int | None, baseline_s: float, out: Path | None) -> None:
    """Kill (SIGKILL) or freeze (SIGSTOP) one part of a real system per round.

    Exit status 1 if an alert was lost, an episode got a second id, a part took longer than
    10 s to recover (up to 25 s where the machine has more to do than it can), or anything else is
    not as promised.
    """
    if mosquitto() is None:
        raise click.ClickException("mosquitto is needed: apt install mosquitto")
    seed = random.randrange(1_000_000) if seed is None else seed
    console = Console()
    console.print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="secondlook-chaos-") as temporary:
        folder = out or Path(temporary)
        try:
            bad = asyncio.run(_run(folder, seed, number, baseline_s, console))
        except SecondLookError as error:
            raise click.ClickException(str(error)) from error
        except TimeoutError:
            raise click.ClickException("the system did not get ready") from None
        except KeyboardInterrupt:
            sys.exit(130)
    sys.exit(1 if bad else 0)


async def _run(
    folder: Path, seed: int, number: int, baseline_s: float, console: Console
) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs yet
    bad: list[str] = []
    if baseline_s:
        before = folder / "baseline"
        before.mkdir(exist_ok=True)
        console.print(f"first {baseline_s:.0f} s without faults")
        result = await baseline(before.absolute(), seed, baseline_s)
        report.show(console, "without faults", result)
        bad += result.failures()
    if number:
        during = folder / "rounds"
        during.mkdir(exist_ok=True)

        def tell(line: str) -> None:
            console.print(line, highlight=False)

        result = await rounds(during.absolute(), seed, number, tell)
        report.show(console, f"{number} rounds of faults", result)
        (folder / "result.json").write_text(json.dumps(report.numbers(result), indent=2))
        bad += result.failures()
    return bad


if __name__ == "__main__":
    main()
