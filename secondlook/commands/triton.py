"""`secondlook triton`: the model server alone, for supervisors such as systemd."""

import os
from pathlib import Path

import click

from secondlook.commands import options
from secondlook.errors import InstallError
from secondlook.local import tritonserver
from secondlook.local.stack import model_repository, triton_for

PORT = click.IntRange(1, 65_535)


@click.command(name="triton")
@options.MODELS
@click.option("--platform", default="python", show_default=True, help="Of the model files.")
@click.option("--grpc-port", type=PORT, default=8001, show_default=True, help="As triton.url says.")
@click.option("--http-port", type=PORT, default=8000, show_default=True)
@click.option("--metrics-port", type=PORT, default=8002, show_default=True, help="For Prometheus.")
@click.option("--install-only", is_flag=True, help="Install it where it is missing, and end.")
def command(
    *,
    models: Path | None,
    platform: str,
    grpc_port: int,
    http_port: int,
    metrics_port: int,
    install_only: bool,
) -> None:
    """Serve the models until SIGTERM, on fixed ports of this machine alone.

    `secondlook up` starts a Triton of its own. This is for those who run the services one by one:
    it installs the server that needs no container (SECONDLOOK_CACHE says where) and becomes it.

    \b
      secondlook triton --install-only
      secondlook triton --models /srv/models
    """
    repository = model_repository(models)
    home = triton_for(repository, lambda line: click.echo(line, err=True))
    if install_only:
        click.echo(home)
        return
    argv, env = tritonserver.command(
        home,
        repository=repository,
        http_port=http_port,
        grpc_port=grpc_port,
        metrics_port=metrics_port,
        config_name=platform,
    )
    try:
        os.execve(argv[0], argv, env)  # noqa: S606 - our own program, no shell wanted
    except OSError as error:
        raise InstallError(f"{argv[0]} cannot be started: {error.strerror}") from error
