"""`secondlook schema`: the contract and the example configuration as files."""

from pathlib import Path

import click

from secondlook import config_example, schema


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
    Beside that folder: config.example.yaml. All of it is generated from the code, and
    committed; run this after changing a message or a key of the configuration.
    """
    example = output.absolute().parent / "config.example.yaml"
    changed = [*schema.write(output), *([example] if config_example.write(example) else [])]
    for path in changed:
        click.echo(path)
