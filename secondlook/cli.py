"""The command line. It starts services and training as processes and never imports them."""

import click

from secondlook.commands import (
    alerts,
    backup,
    broker_config,
    check,
    demo,
    doctor,
    evaluate,
    feedback,
    forget,
    model,
    page,
    restore,
    review,
    schema,
    setting,
    test_alert,
    triton,
    up,
    watch,
)
from secondlook.errors import ConfigError, SecondLookError, exit_status
from secondlook.service import VERSION


class _Commands(click.Group):
    """Turns the errors we raise on purpose into one sentence and an exit status."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a known error ends the program with its sentence."""
        try:
            return super().invoke(ctx)
        except SecondLookError as error:
            click.echo(f"secondlook: {error}", err=True)
            ctx.exit(exit_status(error) if isinstance(error, ConfigError) else 1)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which a newcomer meets them."""
        return list(self.commands)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, prog_name="secondlook")
def main() -> None:
    """Two-stage camera alerts over MQTT.

    A fast detector looks at every frame and misses nothing; a second network takes a second
    look at each crop. Only what it confirms becomes an alert.

    \b
    See it work, without a camera:      secondlook demo
    With your webcam:                   secondlook demo --source webcam:0
    On your own cameras:                secondlook up --config config.yaml
    What is missing on this machine:    secondlook doctor

    Exit status: 0 all is well; 1 something is wrong, said in a sentence; 2 the command line
    cannot be understood; 78 the configuration is wrong; 65 the configuration, the database or a
    backup is of a version that this one cannot read.
    """


for command in (
    demo,
    up,
    check,
    watch,
    page,
    alerts,
    test_alert,
    setting,
    feedback,
    forget,
    evaluate,
    model,
    review,
    backup,
    restore,
    doctor,
    broker_config,
    triton,
    schema,
):
    main.add_command(command.command)

if __name__ == "__main__":
    main()
