"""`secondlook schema`: the contract as files."""

from pathlib import Path

import click


@click.command(name="schema")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("docs"),
    show_default=True,
    help="The folder to write to.",
)
def command(output: Path) -> None:
    """Write the contract as schemas and samples.

    JSON Schemas, an AsyncAPI document and a sample of every message.
    They are generated from the code, and committed; run this after changing a message.
    """
    from secondlook import schema  # noqa: PLC0415 - the generator is slow to import and needed only here

    for path in schema.write(output):
        click.echo(path)
