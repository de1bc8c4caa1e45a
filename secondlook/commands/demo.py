"""`secondlook demo`: the real stack on a clip that the project made, judged at the end."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.subscriptions import Delivery
from secondlook.commands import options
from secondlook.commands.closing import closing_tables, dropped
from secondlook.commands.lines import alert_line, log_line, show, verdict_line
from secondlook.commands.listening import listen
from secondlook.commands.starting import start_all
from secondlook.config_file import load
from secondlook.errors import InstallError, NotConnected
from secondlook.local.folders import temporary
from secondlook.local.stack import Stack, Wish, running
from secondlook.local.truth import Judgement, Truth, judge
from secondlook.local.watching import Run
from secondlook.messages import Alert, FrameRef, Verdict
from secondlook.topics import OnlineOffline

CLIPS = Path(__file__).resolve().parents[2] / "producers" / "demo"
CAMERA = "demo"
FPS = 10
FINITE = ("file:", "folder:", "synthetic:")
STARTS_WITHIN_S = 20.0
"""A source that has sent no frame by then will not."""
QUIET_S = 2.0
"""After the last frame and the last verdict: an alert is on its way for milliseconds."""
PATIENCE_S = 15.0
"""How long the last verdicts may take."""
INTERRUPTED = 130
"""What shells report for a program that Ctrl-C ended."""


@dataclass
class Session:
    """One demo: what is played, and what came of it."""

    truth: Truth | None
    seconds: float | None
    ends: bool
    """The source is over one day; a camera that goes is expected back."""
    console: Console
    seen: Run = field(default_factory=Run)
    frame_came: asyncio.Event = field(default_factory=asyncio.Event)
    verdict_came: asyncio.Event = field(default_factory=asyncio.Event)
    online: asyncio.Event = field(default_factory=asyncio.Event)
    offline: asyncio.Event = field(default_factory=asyncio.Event)
    interrupted: bool = False


@click.command(name="demo")
@click.option(
    "--source",
    default=None,
    metavar="SOURCE",
    help="Watch this instead of the clip: webcam:0, synthetic:, file:clip.mp4, rtsp://…",
)
@click.option("--seconds", type=click.FloatRange(min=1), help="End after this long.")
@click.option(
    "--truth",
    "truth_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Ground truth to judge the alerts by; default: the clip's own.",
)
@click.option("--amqtt", is_flag=True, help="Use the broker amqtt even if mosquitto is there.")
@click.option("-v", "--verbose", is_flag=True, help="Show what every process logs.")
@options.OVERRIDES
@options.MODELS
def command(
    *,
    source: str | None,
    seconds: float | None,
    truth_path: Path | None,
    amqtt: bool,
    verbose: bool,
    overrides: tuple[str, ...],
    models: Path | None,
) -> None:
    """Play a clip through the real stack and judge the alerts.

    Starts a broker, Triton with the demo models and the three services, plays the clip once
    in real time, and prints each verdict and alert as it comes. The clip shows printed cards
    with guns, phones and umbrellas; only the guns may alert.

    Exit status 0: every expected alert came, and no other. 1: one is missing or unexpected.
    With a source of your own nothing is judged, and a camera runs until Ctrl-C.

    \b
    With your webcam: print a card, or hold a phone with its picture into the camera.
      secondlook demo --source webcam:0
    """
    console = Console()
    truth = _truth(source, truth_path)
    with temporary("secondlook-demo-") as folder:
        config_path = _write_config(folder, source or f"file:{CLIPS / 'demo.mp4'}")
        wish = Wish(
            config_path=config_path,
            config=load(config_path, overrides),
            overrides=overrides,
            models=models,
            prefer_amqtt=amqtt,
        )
        ends = source is None or source.startswith(FINITE)
        session = Session(truth, seconds, ends, console)
        judgement = options.run(_demo(wish, folder, session, verbose))
    if session.truth is not None and session.interrupted:
        raise SystemExit(INTERRUPTED)
    if judgement is not None and not judgement.right:
        raise SystemExit(1)


def _truth(source: str | None, given: Path | None) -> Truth | None:
    if given is not None:
        return Truth.read(given)
    if source is not None:
        return None
    for name in ("demo.mp4", "demo.json"):
        if not (CLIPS / name).exists():
            raise InstallError(
                f"the demo clip {CLIPS / name} is missing; run from a clone of the project, "
                "or watch something else with --source"
            )
    return Truth.read(CLIPS / "demo.json")


def _write_config(folder: Path, source: str) -> Path:
    # Relative paths in it (spool, database) begin in its folder, which is removed at the end.
    path = folder / "config.yaml"
    camera = {"source": source, "fps": FPS}
    path.write_text(yaml.safe_dump({"cameras": {CAMERA: camera}}), encoding="utf-8")
    return path


async def _demo(wish: Wish, folder: Path, session: Session, verbose: bool) -> Judgement | None:
    def say(name: str, line: str) -> None:
        if verbose:
            show(session.console, log_line(name, line))

    async with running(wish, folder, say) as stack:
        console = session.console
        console.print("[bold]Second Look demo[/]")
        # It would warn that there is no broker yet.
        logging.getLogger("secondlook.adapters.bus").setLevel(logging.ERROR)
        async with Bus(stack.mqtt, service="demo") as bus:
            listeners = _listen(bus, session)
            try:
                if wish.config.page.enabled:
                    stack.start_page()
                await start_all(stack, wish, console, last=["producers"])
                where = f"{stack.mqtt.host}:{stack.mqtt.port}"
                console.print(f"  look in from outside: secondlook watch --broker {where}")
                console.print(f"  or in a browser: {stack.page}\n" if stack.page else "")
                await _play(stack, session)
            except asyncio.CancelledError:
                # Ctrl-C is how a webcam demo ends: what was seen is still worth a table.
                if not session.seen.frames:
                    raise
                session.interrupted = True
            finally:
                for listener in listeners:
                    listener.cancel()
            lost = await dropped(stack.metrics)
    judgement = _judge(session, wish)
    closing_tables(console, session.seen, judgement, lost)
    return judgement


def _judge(session: Session, wish: Wish) -> Judgement | None:
    if session.truth is None or session.interrupted:
        return None
    return judge(session.truth, wish.config.alerts.labels, session.seen.raised)


def _listen(bus: Bus, session: Session) -> list[asyncio.Task[None]]:
    seen, console = session.seen, session.console

    def clip_time(frame_id: str) -> str:
        return f"{seen.clip_s(frame_id):.1f} s"

    def on_frame(delivery: Delivery[FrameRef]) -> None:
        seen.saw_frame(delivery.message)
        session.frame_came.set()

    def on_verdict(delivery: Delivery[Verdict]) -> None:
        verdict = delivery.message
        session.verdict_came.set()
        if seen.saw_verdict(verdict):
            show(console, verdict_line(verdict, clip_time(verdict.frame.id)))

    def on_alert(delivery: Delivery[Alert]) -> None:
        alert = delivery.message
        if seen.saw_alert(alert, delivery.received_ns):
            came_s = seen.wall_s(delivery.received_ns)
            show(console, alert_line(alert, f"{came_s:.1f} s"))

    def on_status(delivery: Delivery[OnlineOffline]) -> None:
        if delivery.message == "online":
            session.online.set()
        elif session.online.is_set():
            session.offline.set()

    return [
        listen(bus, topics.FRAMES, on_frame),
        listen(bus, topics.CROPS, lambda d: seen.saw_crop(d.message)),
        listen(bus, topics.VERDICTS, on_verdict),
        listen(bus, topics.ALERTS, on_alert),
        listen(bus, topics.CAMERA_STATUS, on_status),
    ]


async def _play(stack: Stack, session: Session) -> None:
    """Wait until the clip is over and judged, the time is up, or the user ends it.

    Raises:
        PartFailed: A part of the stack stopped for good.
        NotConnected: No frame came.
    """
    ending = asyncio.create_task(_until_over(session))
    try:
        either: list[asyncio.Future[Any]] = [ending, stack.supervisor.failed]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if stack.supervisor.failed.done():
            raise stack.supervisor.failed.result()
        ending.result()
    finally:
        ending.cancel()


async def _until_over(session: Session) -> None:
    try:
        async with asyncio.timeout(STARTS_WITHIN_S):
            await session.frame_came.wait()
    except TimeoutError:
        raise NotConnected(f"the source sent no frame within {STARTS_WITHIN_S:.0f} s") from None
    limit_s = session.seconds
    if session.truth is not None and limit_s is None:
        limit_s = session.truth.duration_s + PATIENCE_S
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await (session.offline if session.ends else asyncio.Event()).wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while session.seen.waiting:
                session.verdict_came.clear()
                await session.verdict_came.wait()
    await asyncio.sleep(QUIET_S)
