"""`secondlook alerts`: the alerts as they come, and those of the past."""

import time
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.following import Follower
from secondlook.commands import alerts_past, options
from secondlook.commands.lines import alert_line, show
from secondlook.commands.options import Since
from secondlook.config import Mqtt
from secondlook.messages import Alert

FOLLOW = "follow"


class _FollowByDefault(click.Group):
    """Takes what names no command for options of `follow`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in front where no command is named."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [FOLLOW, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which they are made."""
        return list(self.commands)


@click.group(name="alerts", cls=_FollowByDefault)
def command() -> None:
    """Print the alerts as they come, or look at those of the past.

    Without a command it follows: `secondlook alerts` is `secondlook alerts follow`, with the
    same options. `list`, `show` and `export` read the classifier's database on this machine, and
    need neither broker nor classifier.

    \b
      secondlook alerts                                as they come, none lost, none twice
      secondlook alerts --since 15m --json | jq .label
      secondlook alerts list --camera front_door --since 1d
      secondlook alerts show last --picture last.jpg
      secondlook alerts export ~/alerts --since 7d     a table, all messages, the pictures
      docker compose exec classifier secondlook alerts list
    """


@command.command(name=FOLLOW)
@options.to_broker
@click.option("--since", type=Since(), help="Also those since then: 15m, 2h, or an RFC 3339 time.")
@click.option("--json", "as_json", is_flag=True, help="One alert per line, as it is on the bus.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many.")
def follow(
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
    """
    mqtt = options.broker_of(config_path, broker, root, login)
    options.run(_follow(mqtt, since, Console(), as_json, count))


async def _follow(
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


for past in (alerts_past.list_, alerts_past.show, alerts_past.export):
    command.add_command(past)
