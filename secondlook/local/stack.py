"""The embedded stack: a broker, Triton and the three services as supervised processes."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from secondlook.config import Config, Mqtt, TritonServer
from secondlook.errors import InstallError
from secondlook.local import tritonserver
from secondlook.local.broker import broker_name, broker_part
from secondlook.local.folders import for_frames, free_mb
from secondlook.local.probes import LOOPBACK, answers, free_port, says_ok
from secondlook.local.supervisor import Part, Say, Supervisor

SERVICES = {
    "classifier": "classifier_svc",
    "detector": "detector_svc",
    "producers": "producers",
}
"""What each service is called, and the module that is started."""
PAGE = "page"
"""The status page, which nothing waits for."""
PAGE_NEEDS = ("starlette", "uvicorn")
OWN_MODELS = Path(__file__).resolve().parents[2] / "model_repository"
NO_GPU = ("CudaDriverHelper has not been initialized",)
READY_S = 60.0
"""Enough for Triton to load two models on a busy machine."""
FRAMES_ROOM = 0.8
"""The part of the free memory file system that the frame store may take."""
ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - only compared with
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Wish:
    """What to start, as the user asked."""

    config_path: Path
    config: Config
    overrides: tuple[str, ...] = ()
    """`key=value`, handed on to the services."""
    models: Path | None = None
    """Model repository; default: the project's own."""
    platform: str = "python"
    """Whose configuration files Triton reads: `<model>/configs/<platform>.pbtxt`."""
    own_broker: bool = True
    own_triton: bool = True
    prefer_amqtt: bool = False
    keep_ports: bool = False
    """Take the configured ports where they are free, so that others find the broker again."""


def is_local(host: str) -> bool:
    """Tell whether a configured host means this machine."""
    return host in LOCAL_HOSTS


def model_repository(wish: Path | None = None) -> Path:
    """Return the folder with the models: the one wished for, of the environment, or our own.

    Raises:
        InstallError: There is none, or our own has no weights.
    """
    given = wish or Path(os.environ.get("SECONDLOOK_MODELS", ""))
    folder = given if given.name else OWN_MODELS
    if not folder.is_dir():
        raise InstallError(
            f"there is no model repository at {folder}; name one with --models or SECONDLOOK_MODELS"
        )
    if folder == OWN_MODELS:
        models = sorted(config.parent for config in folder.glob("*/config.pbtxt"))
        empty = [model.name for model in models if not any(model.glob("[0-9]*/*.onnx"))]
        if empty:
            raise InstallError(f"these models in {folder} have no weights: {', '.join(empty)}")
    return folder.resolve()


def triton_for(repository: Path, progress: Callable[[str], None]) -> tritonserver.TritonHome:
    """Return an installed Triton that can serve these models; install it where it is missing.

    Raises:
        InstallError: It cannot be had on this machine.
    """
    try:
        heavy = tritonserver.needs_tensorflow(repository)
        return tritonserver.install(progress, tensorflow=heavy)
    except OSError as error:
        raise InstallError(
            f"Triton cannot be installed: {error}; set SECONDLOOK_CACHE to a folder of yours"
        ) from error


class Stack:
    """Runs the parts of one wish; made by `running`."""

    def __init__(self, wish: Wish, folder: Path, frames: Path, supervisor: Supervisor) -> None:
        self._wish = wish
        self._folder = folder
        self.frames = frames
        """The frame store."""
        self.supervisor = supervisor
        self._taken: set[int] = set()
        self.metrics: dict[str, str] = {}
        """For each service that was started, the address of its metrics."""
        self.triton_metrics: str | None = None
        """The address of the metrics of our own Triton, once it was started."""
        self.mqtt: Mqtt = wish.config.mqtt
        """Where the broker is."""
        self.triton: TritonServer = wish.config.triton
        """Where Triton is."""
        self.page: str | None = None
        """Address of the status page, once it is started."""
        if wish.own_broker:
            port = self._port(self.mqtt.port)
            self.mqtt = self.mqtt.model_copy(update={"host": LOOPBACK, "port": port, "tls": None})
        if wish.own_triton:
            url = f"{LOOPBACK}:{self._port(None)}"
            self.triton = self.triton.model_copy(update={"url": url})

    def _port(self, configured: int | None) -> int:
        prefer = configured if self._wish.keep_ports else None
        port = free_port(prefer, frozenset(self._taken))
        self._taken.add(port)
        return port

    def start_broker(self) -> str:
        """Start the broker; return what it is, in words."""
        amqtt = self._wish.prefer_amqtt
        self.supervisor.start(broker_part(self._folder, self.mqtt.port, prefer_amqtt=amqtt))
        return broker_name(prefer_amqtt=amqtt)

    async def start_triton(self, progress: Callable[[str], None]) -> None:
        """Install Triton if it is not, and start it.

        Raises:
            InstallError: Triton cannot be had on this machine, or there are no models.
        """
        repository = model_repository(self._wish.models)
        home = await asyncio.to_thread(triton_for, repository, progress)
        http_port, metrics_port = self._port(None), self._port(None)
        self.triton_metrics = f"http://{LOOPBACK}:{metrics_port}/metrics"
        argv, env = tritonserver.command(
            home,
            repository=repository,
            http_port=http_port,
            grpc_port=int(self.triton.url.rpartition(":")[2]),
            metrics_port=metrics_port,
            config_name=self._wish.platform,
        )
        ready = partial(says_ok, http_port, "/v2/health/ready")
        part = Part("triton", argv, ready, env, grace_s=2.5, carries=True, harmless=NO_GPU)
        self.supervisor.start(part)

    def start_service(self, name: str, config_path: Path | None = None) -> None:
        """Start one of the three services, with the wish's configuration or another."""
        port = self._port(getattr(self._wish.config.metrics, name))
        argv = self._command(SERVICES[name], [f"metrics.{name}={port}"], config_path)
        bind = self._wish.config.metrics.bind
        host = LOOPBACK if bind in ANY_ADDRESS else bind
        self.metrics[name] = f"http://{host}:{port}/metrics"
        ready: Callable[[], Awaitable[bool]] = partial(says_ok, port, "/readyz", host)
        self.supervisor.start(Part(name, argv, ready))

    def start_page(self) -> None:
        """Start the status page, where its libraries are installed."""
        if any(find_spec(library) is None for library in PAGE_NEEDS):
            return
        settings = self._wish.config.page
        port = self._port(settings.port)
        own = [f"page.port={port}", f"metrics.page={self._port(self._wish.config.metrics.page)}"]
        host = LOOPBACK if settings.bind in ANY_ADDRESS else settings.bind
        ready: Callable[[], Awaitable[bool]] = partial(answers, port, host)
        argv = self._command("secondlook.page", own)
        self.supervisor.start(Part(PAGE, argv, ready, needed=False))
        self.page = f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def _command(
        self, module: str, settings: list[str], config_path: Path | None = None
    ) -> list[str]:
        argv = [sys.executable, "-m", module, "--config"]
        argv.append(str(config_path or self._wish.config_path))
        for override in (*self._wish.overrides, *self.settings, *settings):
            argv += ["--set", override]
        return argv

    @property
    def settings(self) -> list[str]:
        """What services that belong to it are told besides their configuration, as KEY=VALUE."""
        settings = [
            f"frames.directory={self.frames}",
            f"frames.max_mb={self.frames_mb}",
        ]
        if self._wish.own_broker:
            settings += [f"mqtt.host={LOOPBACK}", f"mqtt.port={self.mqtt.port}", "mqtt.tls=null"]
        if self._wish.own_triton:
            settings.append(f"triton.url={self.triton.url}")
        return settings

    @property
    def frames_mb(self) -> int:
        """Room for frames: as configured, or less where this machine has less."""
        return max(1, min(self._wish.config.frames.max_mb, int(free_mb(self.frames) * FRAMES_ROOM)))


@contextlib.asynccontextmanager
async def running(wish: Wish, folder: Path, say: Say) -> AsyncIterator[Stack]:
    """Give a stack whose parts end with the block."""
    with for_frames() as frames:
        supervisor = Supervisor(say)
        try:
            yield Stack(wish, folder, frames, supervisor)
        finally:
            await supervisor.stop()
