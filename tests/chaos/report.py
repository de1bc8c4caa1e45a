"""The books of a run, for people and as JSON."""

import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.accounting import Outage, Outcome
from tests.chaos.plan import COMPONENTS
from tests.chaos.run import Result
from tests.chaos.truth import SECOND


def numbers(result: Result) -> dict[str, Any]:
    """Return everything that the table shows, and the details behind it."""
    account = result.account
    ways = [outcome.how for outcome in account.outcomes if outcome.fate == "alerted"]
    return {
        "seed": result.seed,
        "rounds": len(result.rounds),
        "rounds_that_count": result.counting_rounds,
        "episodes": len(account.outcomes),
        "should_have_alerted": len(account.outcomes) - account.count("excused"),
        "alerted": account.count("alerted"),
        "alerted_by": {way: ways.count(way) for way in sorted(set(ways))},
        "lost": account.count("lost"),
        "excused": account.count("excused"),
        "second_ids": len(account.second_ids),
        "alerts_of_nothing": len(account.strangers),
        "repeats": result.repeats,
        "committed_not_delivered": result.undelivered,
        "blind_records_not_delivered": result.untold,
        "delivered_not_committed": result.unfounded,
        "blind_records_too_long": [
            {"why": span.why, "s": _s(span.to_ns - span.from_ns), "too_much_s": round(excess, 1)}
            for span, excess in account.long_blind
        ],
        "delay_s": _spread(result.delays_s),
        "recovery_s": {
            name: _spread([o.recovery_s for o in _of(result.outages, name) if o.recovery_s])
            for name in COMPONENTS
        },
        "not_recovered": [o.number for o in result.outages if o.recovery_s is None],
        "first_verdict_s": {
            name: _spread(
                [
                    result.first_look_s[o.number]
                    for o in _of(result.outages, name)
                    if o.number in result.first_look_s
                ]
            )
            for name in COMPONENTS
        },
        "faults_in_logs": result.faults_of_its_own[:20],
        "details": {
            "lost": [_detail(o, result) for o in account.outcomes if o.fate == "lost"],
            "excused": [_detail(o, result) for o in account.outcomes if o.fate == "excused"],
            "second_ids": [_detail(o, result) for o in account.second_ids],
            "outages": [_outage(o) for o in result.outages],
        },
        "failures": result.failures(),
    }


def show(console: Console, title: str, result: Result) -> None:
    """Print the books."""
    found = numbers(result)
    table = Table(title=f"{title}, seed {result.seed}", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    ways = ", ".join(f"{count} {way}" for way, count in found["alerted_by"].items())
    delay = found["delay_s"]
    for what, value in (
        ("rounds", found["rounds"]),
        ("… with episodes that are not excused", found["rounds_that_count"]),
        ("episodes that should have alerted", found["should_have_alerted"]),
        ("alerted", f"{found['alerted']} ({ways})"),
        ("lost", found["lost"]),
        ("excused (too few looks outside blind records)", found["excused"]),
        ("second ids for one true episode", found["second_ids"]),
        ("alerts of nothing that was there", found["alerts_of_nothing"]),
        ("repeats of one (id, sequence)", found["repeats"]),
        ("committed alerts that were not delivered", found["committed_not_delivered"]),
        ("blind records that were not delivered", found["blind_records_not_delivered"]),
        ("delivered alerts that were not committed", found["delivered_not_committed"]),
        ("blind records too long", len(found["blind_records_too_long"])),
        ("from an episode's start to its alert, p50 / max", _words(delay)),
    ):
        table.add_row(what, str(value))
    console.print(table)
    if result.outages:
        console.print(_recoveries(found, result.outages))
    for kind in ("lost", "second_ids"):
        for detail in found["details"][kind]:
            console.print(f"{kind}: {detail}", soft_wrap=True)
    for record in found["blind_records_too_long"]:
        console.print(f"blind too long: {record}", soft_wrap=True)
    for failure in found["failures"]:
        console.print(f"[red]not as promised:[/] {failure}")


def _recoveries(found: dict[str, Any], outages: Sequence[Outage]) -> Table:
    table = Table(title="from the kill or the thaw, in seconds: p50 / max")
    for heading in ("part", "kills", "freezes", "everything online, frames seen", "first verdict"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for name in COMPONENTS:
        kinds = [outage.kind for outage in _of(outages, name)]
        table.add_row(
            name,
            str(kinds.count("kill")),
            str(kinds.count("freeze")),
            _words(found["recovery_s"][name]),
            _words(found["first_verdict_s"][name]),
        )
    return table


def _of(outages: Sequence[Outage], component: str) -> list[Outage]:
    return [outage for outage in outages if outage.component == component]


def _spread(values: Sequence[float | None]) -> dict[str, float] | None:
    found = [value for value in values if value is not None]
    if not found:
        return None
    return {"p50": round(statistics.median(found), 2), "max": round(max(found), 2)}


def _words(spread: dict[str, float] | None) -> str:
    return "-" if spread is None else f"{spread['p50']:.1f} / {spread['max']:.1f}"


def _detail(outcome: Outcome, result: Result) -> dict[str, Any]:
    visit = outcome.visit
    around = [
        f"{o.component} {o.kind} at {_s(o.at_ns - visit.start_ns)} s, over at "
        f"{_s(o.over_ns - visit.start_ns)}, load {o.load}"
        for o in result.outages
        if o.at_ns < visit.end_ns + 5 * SECOND
        and (o.recovered_ns or o.over_ns) > visit.start_ns - 5 * SECOND
    ]
    return {
        "label": visit.label,
        "scene": visit.seed,
        "start_unix_s": _s(visit.start_ns),
        "lasted_s": _s(visit.end_ns - visit.start_ns),
        "frames": len(visit.frames_ns),
        "watched_in_a_row": outcome.watched,
        "ids": outcome.ids,
        "faults_from_its_start": around,
    }


def _outage(outage: Outage) -> dict[str, Any]:
    return {
        "round": outage.number,
        "component": outage.component,
        "kind": outage.kind,
        "at_unix_s": _s(outage.at_ns),
        "lasted_s": _s(outage.over_ns - outage.at_ns),
        "recovery_s": None if outage.recovery_s is None else round(outage.recovery_s, 2),
        "load_per_core": outage.load,
    }


def _s(nanoseconds: int) -> float:
    return round(nanoseconds / SECOND, 2)
