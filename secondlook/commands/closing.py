"""What the demo prints at its end."""

import asyncio
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from secondlook.commands.counted import ON_PURPOSE
from secondlook.local.truth import Judgement
from secondlook.local.watching import Run

LOSSES = ("dropped", "overwritten", "shed", "expired")
"""Words in the names of counters that count what was lost on the way."""


async def dropped(metrics: Mapping[str, str]) -> Counter[str]:
    """Return what the services say was lost, by service and cause.

    Args:
        metrics: For each service the address of its metrics.
    """
    lost: Counter[str] = Counter()
    for service, address in metrics.items():
        text = await asyncio.to_thread(_get, address)
        for family in text_string_to_metric_families(text):
            if family.type != "counter" or not any(word in family.name for word in LOSSES):
                continue
            for sample in family.samples:
                cause = sample.labels.get("cause") or family.name.removeprefix("secondlook_")
                counts = sample.name.endswith("_total") and cause not in ON_PURPOSE
                if counts and sample.value:
                    lost[f"{service}: {cause}"] += int(sample.value)
    return lost


def _get(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310 - http:// of our own making
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError, ValueError):
        return ""


def closing_tables(
    console: Console, seen: Run, judgement: Judgement | None, lost: Mapping[str, int]
) -> None:
    """Print what was expected and what came, and how much went through the stack."""
    console.print()
    if judgement is not None:
        console.print(_alerts(judgement))
    console.print(_counts(seen, lost))
    if judgement is None:
        return
    if judgement.right:
        console.print("[bold green]Every expected alert came, and no other.[/]")
    else:
        missing = sum(outcome.raised is None for outcome in judgement.outcomes)
        unexpected = len(judgement.unexpected)
        console.print(f"[bold red]{missing} expected missing, {unexpected} unexpected alerts.[/]")


def _alerts(judgement: Judgement) -> Table:
    table = Table("true episode", "from", "to", "alert", "delay", title="Alerts")
    for outcome in judgement.outcomes:
        episode, delay = outcome.episode, outcome.delay_s
        table.add_row(
            episode.label,
            f"{episode.start_s:.1f} s",
            f"{episode.end_s:.1f} s",
            "[red]missing[/]" if delay is None else "[green]yes[/]",
            "" if delay is None else f"{delay:.2f} s",
        )
    for raised in judgement.unexpected:
        table.add_row(raised.label, f"{raised.at_s:.1f} s", "", "[red]unexpected[/]", "")
    return table


def _counts(seen: Run, lost: Mapping[str, int]) -> Table:
    table = Table("what", "how many", title="Went through the stack")
    table.add_row("frames", str(seen.frames))
    table.add_row("crops", str(len(seen.crops)))
    for outcome, count in sorted(seen.outcomes.items()):
        table.add_row(f"verdicts: {outcome}", str(count))
    for event, count in sorted(seen.alerts.items()):
        table.add_row(f"alerts: {event}", str(count))
    for cause, count in sorted(lost.items()):
        table.add_row(f"dropped by {cause}", str(count))
    if not lost:
        table.add_row("dropped", "0")
    return table
