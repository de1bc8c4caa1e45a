"""`secondlook alerts`: the alerts as they come, none lost and none twice."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.commands import options
from secondlook.commands.following import Follower
from secondlook.commands.lines import alert_line, show
from secondlook.config import Mqtt
from secondlook.messages import Alert

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Since(click.ParamType[datetime]):
    """A time span such as `15m`, or a moment in RFC 3339."""

    name = "since"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment meant."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        span = re.fullmatch(r"(\d{1,6})([smhd])", text)
        if span:
            return datetime.now(UTC) - timedelta(seconds=int(span[1]) * UNITS[span[2]])
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r}: write 90s, 15m, 2h or 2026-11-22T06:13:20Z", param, ctx)
        return moment if moment.tzinfo else moment.astimezone()


@click.command(name="alerts")
@options.to_broker
@click.option("--since", type=Since(), help="Also those since then: 15m, 2h, or an RFC 3339 time.")
@click.option("--json", "as_json", is_flag=True, help="One alert per line, as it is on the bus.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many.")
def command(
    *,
    config_path: Path,
    broker: str | None,
    root: str,
    login: options.Login,
    since: datetime | None,
    as_json: bool,
    count: int | None,
) -> None:
    """Print the alerts as they come.

    Asks for a replay whenever it connects and whenever the classifier comes back, so that
    nothing is lost on the way, and prints each message once.

    \b
      secondlook alerts
      secondlook alerts --since 15m --json | jq .label
    """
    mqtt = options.broker_of(config_path, broker, root, login)
    options.run(_alerts(mqtt, since, Console(), as_json, count))


async def _alerts(
    mqtt: Mqtt, since: datetime | None, console: Console, as_json: bool, count: int | None
) -> None:
    name = f"alerts-{time.time_ns():x}"
    printed = 0
    begin = since or datetime.now(UTC)
    async with Bus(mqtt, service=name) as bus, Follower(bus, name, begin) as follower:
        async for alert in follower:
            _print(console, alert, as_json)
            printed += 1
            if count is not None and printed >= count:
                return


def _print(console: Console, alert: Alert, as_json: bool) -> None:
    if as_json:
        click.echo(topics.ALERTS.encode(alert).decode())
    else:
        when = alert.updated_at.astimezone()
        show(console, alert_line(alert, f"{when:%H:%M:%S}"))
