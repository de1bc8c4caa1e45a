"""How to start the Triton server that needs no container, and starts it where a test wants it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from secondlook.errors import TritonUnavailable
from secondlook.local import tether
from secondlook.local.probes import LOOPBACK, free_port
from secondlook.local.triton_install import (
    TritonHome,
    cache_folder,
    find,
    install,
    needs_tensorflow,
)

__all__ = [
    "Server",
    "TritonHome",
    "cache_folder",
    "command",
    "find",
    "install",
    "needs_tensorflow",
]

_SHARED: Final = Path("/dev/shm")  # noqa: S108 - where the server's Python backend keeps its regions
_REGIONS: Final = "secondlook-backend-"


def command(
    home: TritonHome,
    *,
    repository: Path,
    http_port: int,
    grpc_port: int,
    metrics_port: int,
    config_name: str = "python",
    extra_repositories: Sequence[Path] = (),
) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the environment to start the server with.

    It listens on 127.0.0.1 alone and logs warnings and errors. A model that fails to load does not
    keep the others from being served: clients are told by name which one and why.

    Args:
        home: From `install`.
        repository: The model repository.
        http_port: For HTTP.
        grpc_port: For gRPC.
        metrics_port: For Triton's own metrics.
        config_name: Which of a model's `configs/<name>.pbtxt` counts; else its config.pbtxt.
        extra_repositories: More repositories, served together with the first.
    """
    _remove_leftover_regions()
    argv = [
        str(home.server / "bin" / "tritonserver"),
        *(f"--model-repository={path}" for path in (repository, *extra_repositories)),
        f"--model-config-name={config_name}",
        "--model-control-mode=none",
        "--disable-auto-complete-config",
        "--exit-on-error=false",
        # Ready means that the server answers; each model tells for itself whether it is loaded.
        "--strict-readiness=false",
        f"--backend-directory={home.server / 'backends'}",
        f"--backend-config=python,shm-region-prefix-name={_REGIONS}{os.getpid()}-",
        f"--http-address={LOOPBACK}",
        f"--http-port={http_port}",
        "--http-thread-count=2",
        f"--grpc-address={LOOPBACK}",
        f"--grpc-port={grpc_port}",
        f"--metrics-address={LOOPBACK}",
        f"--metrics-port={metrics_port}",
        "--allow-gpu-metrics=false",
        "--allow-cpu-metrics=false",  # they cost two seconds at the end
        "--pinned-memory-pool-byte-size=0",
        "--exit-timeout-secs=3",
        "--log-info=false",
    ]
    # A PYTHONPATH or an active environment of ours would reach into the server's.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    env["PATH"] = f"{home.path / 'bin'}:{env.get('PATH', os.defpath)}"
    env["LD_LIBRARY_PATH"] = f"{home.packages / 'nvidia_pytriton.libs'}:{home.library}"
    return argv, env


def _remove_leftover_regions() -> None:
    """Remove the shared memory of servers that were killed along with their supervisor."""
    for path in _SHARED.glob(_REGIONS + "*"):
        owner = path.name.removeprefix(_REGIONS).partition("-")[0]
        try:
            os.kill(int(owner), 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except (ValueError, OSError):
            continue


@dataclass
class Server:
    """A server for as long as a block runs; can be killed and started again on its ports."""

    home: TritonHome
    repository: Path
    log_file: Path
    """What it prints; added to over restarts."""
    extra_repositories: Sequence[Path] = ()
    config_name: str = "python"

    def __post_init__(self) -> None:
        self.http_port = free_port()
        self.grpc_port = free_port(taken=frozenset({self.http_port}))
        self._metrics_port = free_port(taken=frozenset({self.http_port, self.grpc_port}))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """host:port of its gRPC service."""
        return f"{LOOPBACK}:{self.grpc_port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *, wait_s: float | None = 60.0) -> None:
        """Start it and wait until it answers; `None` waits for nothing.

        Raises:
            TritonUnavailable: It ended, or does not answer; the text has the end of its log.
        """
        argv, env = command(
            self.home,
            repository=self.repository,
            http_port=self.http_port,
            grpc_port=self.grpc_port,
            metrics_port=self._metrics_port,
            config_name=self.config_name,
            extra_repositories=self.extra_repositories,
        )
        held = [sys.executable, tether.__file__, str(os.getpid()), *argv]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                held, env=env, stdout=log, stderr=log, start_new_session=True
            )
        if wait_s is not None:
            self._wait(wait_s)

    def kill(self) -> None:
        """End it at once, as a crash would, and the processes of its models with it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._join(10.0)

    def stop(self) -> None:
        """End it in order."""
        self.signal(signal.SIGTERM)
        self._join(10.0)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; SIGSTOP and SIGCONT make it freeze and go on."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _join(self, wait_s: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait(self, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        url = f"http://{LOOPBACK}:{self.http_port}/v2/health/ready"
        while time.monotonic() < until and self._process and self._process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
                return  # anything but 200 raises
            time.sleep(0.1)
        self.stop()
        raise TritonUnavailable(f"Triton did not start: {self.log_file.read_text()[-2000:]}")
