"""`secondlook doctor`: how the running system is, what this machine lacks, and what to do."""

import importlib.metadata
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from secondlook.commands import doctor_service, doctor_system, options
from secondlook.commands.diagnosis import diagnose
from secondlook.commands.finding import Finding
from secondlook.config_file import load
from secondlook.errors import SecondLookError
from secondlook.local import triton_install
from secondlook.local.broker import mosquitto
from secondlook.local.folders import SHM, free_mb, state_home
from secondlook.local.probes import is_free
from secondlook.local.stack import SERVICES, model_repository

MARKS = {
    "ok": "[green]ok[/]     ",
    "note": "[yellow]note[/]   ",
    "lacking": "[yellow]lacking[/]",
    "missing": "[red]missing[/]",
    "wrong": "[bold red]wrong[/]  ",
}
SHM_MB = 256
DISK_MB = 2000
USUAL_PORTS = {1883: "MQTT", 8001: "Triton", 9101: "metrics", 9102: "metrics", 9103: "metrics"}


@click.command(name="doctor")
@options.to_broker
@click.option("--machine", is_flag=True, help="Look at this machine alone, not at what runs.")
@click.option(
    "--service",
    type=click.Choice(list(SERVICES)),
    envvar="SECONDLOOK_SERVICE",
    help="Look at what this service needs here, by its configuration; its container says which.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="One finding per line: verdict, what, advice."
)
def command(
    *,
    config_path: Path,
    broker: str | None,
    root: str,
    login: options.Login,
    machine: bool,
    service: str | None,
    as_json: bool,
) -> None:
    """Say how the running system is, or what this machine lacks to run it.

    With a config.yaml here, with --config or --broker it listens to the running system for up to
    23 seconds and says in sentences what is right, what is wrong and what to do. Where none
    answers, or with --machine, it looks at what this machine has to run one.

    \b
      ok        needs nothing
      note      worth knowing: a disarmed camera, a slow one, a blind time
      wrong     it does not do what it is for; the line below says what to do
      lacking   of this machine: works less well
      missing   of this machine: does not work without

    \b
      secondlook doctor                                  the system of config.yaml, or the machine
      secondlook doctor --broker 192.0.2.5               any other system
      docker compose exec detector secondlook doctor     in the container of a service

    Exit status: 0 if nothing is wrong or missing, else 1.
    """
    console = Console(soft_wrap=True, highlight=False)
    if broker is None and service is not None:
        findings = [*_looked(LOOKS_OF[service]), *doctor_service.looks(service, load(config_path))]
    elif machine or (broker is None and not config_path.exists()):
        findings = _looked(LOOKS)
    else:
        mqtt = options.broker_of(config_path, broker, root, login)
        cameras = load(config_path).cameras if config_path.exists() and broker is None else {}
        patient = Console(stderr=True, quiet=as_json, soft_wrap=True)
        facts = options.run(doctor_system.listen_to(mqtt, patient))
        if facts is None:
            return
        findings = list(diagnose(facts, cameras))
        if not facts.connected and broker is None:
            findings += _looked(LOOKS)
    for finding in findings:
        _say(console, finding, as_json)
    if any(finding.verdict in ("missing", "wrong") for finding in findings):
        raise SystemExit(1)


def _looked(looks: Iterable[Callable[[], Iterator[Finding]]]) -> list[Finding]:
    return [finding for look in looks for finding in look()]


def _say(console: Console, finding: Finding, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(finding), ensure_ascii=False))
        return
    console.print(MARKS[finding.verdict], end="  ")
    console.print(finding.what, markup=False)
    if finding.advice:
        console.print(f"         -> {finding.advice}", markup=False)


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok", f"Python {version} at {sys.executable}")


def _libraries() -> Iterator[Finding]:
    for name in ("opencv-python-headless", "numpy", "paho-mqtt", "tritonclient"):
        try:
            yield Finding("ok", f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Finding("missing", name, "install the project again: make demo")


def _ffmpeg() -> Iterator[Finding]:
    found = shutil.which("ffmpeg")
    if found:
        yield Finding("ok", f"ffmpeg at {found}")
    else:
        advice = "only ffmpeg: sources need it (hardware decoding): apt-get install ffmpeg"
        yield Finding("lacking", "no ffmpeg", advice)


def _broker() -> Iterator[Finding]:
    found = mosquitto()
    if found:
        yield Finding("ok", f"mosquitto at {found}")
        return
    try:
        amqtt = importlib.metadata.version("amqtt")
    except importlib.metadata.PackageNotFoundError:
        without_root = f"{sys.executable} -m pip install amqtt"
        advice = f"apt-get install mosquitto, or without root: {without_root}"
        yield Finding("missing", "no broker: neither mosquitto nor amqtt", advice)
        return
    advice = (
        f"amqtt {amqtt} is used instead: it loses unacknowledged messages on reconnect; "
        "for more than a demo: apt-get install mosquitto"
    )
    yield Finding("lacking", "no mosquitto", advice)


def _triton() -> Iterator[Finding]:
    try:
        home = triton_install.find()
    except SecondLookError as error:
        yield Finding("missing", "no Triton", str(error))
        return
    if home is None:
        advice = "it installs itself at the first secondlook demo or up (some minutes)"
        yield Finding("lacking", "Triton is not installed yet", advice)
    else:
        yield Finding("ok", f"Triton in {home.path}, Python {home.version}")


def _models() -> Iterator[Finding]:
    try:
        yield Finding("ok", f"models in {model_repository()}")
    except SecondLookError as error:
        yield Finding("missing", "no models", str(error))


def _memory() -> Iterator[Finding]:
    if not SHM.is_dir():
        yield Finding("lacking", f"no {SHM}", "frames go to a folder on disk, which is slower")
        return
    free = free_mb(SHM)
    if free < SHM_MB:
        advice = f"frames need about {SHM_MB} MB; in a container: --shm-size or shm_size"
        yield Finding("lacking", f"{SHM} has {free} MB free", advice)
    else:
        yield Finding("ok", f"{SHM} has {free} MB free")


def _disk() -> Iterator[Finding]:
    folder = state_home()
    free = free_mb(folder)
    advice = "" if free >= DISK_MB else f"keep {DISK_MB} MB free for crops, alerts and the broker"
    yield Finding("lacking" if advice else "ok", f"{folder} has {free} MB free", advice)


def _ports() -> Iterator[Finding]:
    taken = [f"{port} ({what})" for port, what in USUAL_PORTS.items() if not is_free(port)]
    if taken:
        advice = "no harm: the embedded stack takes free ones and says which"
        yield Finding("ok", f"ports in use: {', '.join(taken)}", advice)
    else:
        yield Finding("ok", "the usual ports are free")


LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _libraries,
    _broker,
    _triton,
    _models,
    _ffmpeg,
    _memory,
    _disk,
    _ports,
)
LOOKS_OF = {
    "producers": (_python, _libraries, _ffmpeg),
    "detector": (_python, _libraries),
    "classifier": (_python, _libraries),
}
"""What matters where one service runs alone, besides what its configuration names."""
