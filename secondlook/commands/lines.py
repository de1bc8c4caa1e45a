"""How logs, verdicts and alerts look in the terminal."""

import json
from collections.abc import Sized

from rich.console import Console
from rich.text import Text

from secondlook.messages import Alert, Verdict

COLOURS = {
    "broker": "blue",
    "triton": "magenta",
    "producers": "cyan",
    "detector": "yellow",
    "classifier": "green",
    "page": "bright_black",
}
OUTCOMES = {"confirmed": "bold red", "rejected": "green", "uncertain": "yellow"}


def count(things: Sized, word: str) -> str:
    """Return how many there are, with the word for them."""
    return f"{len(things)} {word}" if len(things) == 1 else f"{len(things)} {word}s"


def log_line(name: str, line: str) -> Text:
    """Return a line of a process with its name in front, in its colour."""
    return Text.assemble((f"{name:>10} ", COLOURS.get(name, "white")), ("| ", "dim"), line)


def json_line(name: str, line: str) -> str:
    """Return a line of a process as a JSON object that says whose it is."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    said = found if isinstance(found, dict) else {"message": line}
    return json.dumps({"service": name, **said}, ensure_ascii=False)


def show(console: Console, line: Text) -> None:
    """Print one line as it is: never wrapped, no markup read out of it."""
    console.print(line, soft_wrap=True, highlight=False)


def verdict_line(verdict: Verdict, when: str) -> Text:
    """Return a look in one line."""
    delay = verdict.latency_ms.decided
    return Text.assemble(
        (f"{when:>9}  ", "dim"),
        f"{verdict.camera:<12} look   ",
        (f"{verdict.outcome:<10}", OUTCOMES[verdict.outcome]),
        f"{verdict.label:<10} {verdict.score:.2f}",
        (f"   found as {verdict.detector.label} {verdict.detector.score:.2f}", "dim"),
        (f", {delay:.0f} ms after capture", "dim"),
    )


def alert_line(alert: Alert, when: str) -> Text:
    """Return an alert in one line."""
    style = {"new": "bold white on red", "update": "red", "end": "dim"}[alert.event]
    marks = [
        f"because {alert.reason}" if alert.reason else "",
        "late" if alert.late else "",
        "a test" if alert.test else "",
    ]
    rule = alert.decision
    why = f"{rule.rule}: {rule.confirmed} confirmed, {rule.rejected} rejected, "
    why += f"{rule.uncertain} uncertain"
    if alert.duration_s is not None:
        why = f"after {alert.duration_s:.1f} s"
    return Text.assemble(
        (f"{when:>9}  ", "dim"),
        f"{alert.camera:<12} ",
        ("ALERT ", "bold red"),
        (f"{alert.event:<10}", style),
        (f"{alert.label:<10} {alert.score:.2f}", "bold"),
        f"   {why}",
        (f"  ({', '.join(filter(None, marks))})" if any(marks) else "", "yellow"),
    )
