"""What Triton itself answers, asked by NVIDIA's perf_analyzer: the most that a pipeline can reach.

    python -m benchmarks.ceiling --concurrency 1,2,4

Pictures and answers go through system shared memory, as the services send them. perf_analyzer
comes from the wheel tritonclient 2.50.0 (x86-64), downloaded once into the cache.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.machine import this_machine
from secondlook.errors import InstallError
from secondlook.local import tritonserver
from secondlook.local.stack import OWN_MODELS

WHEEL = "tritonclient==2.50.0"
PROGRAM = "perf_analyzer"
LIBRARIES = {"libb64*": "libb64.so.0d", "libcudart*": "libcudart.so.12"}
"""What the program needs and the server's wheel has, under the name that it looks for."""
ANSWER_BYTES = 32_768
READY_S = 120.0
WINDOWS = 3
"""perf_analyzer gives the average of so many."""


@dataclass(frozen=True)
class Ceiling:
    """What Triton answered at one number of requests under way."""

    model: str
    concurrency: int
    per_s: float
    p50_ms: float
    p99_ms: float
    batch: float
    """Pictures of an execution, on average."""


@dataclass(frozen=True)
class Perf:
    """The program, and the environment that it needs."""

    program: Path
    env: dict[str, str]

    def ask(
        self, server: tritonserver.Server, model: str, concurrency: int, seconds: float
    ) -> Ceiling:
        """Keep so many requests under way for some seconds.

        Raises:
            InstallError: The program does not work here.
        """
        argv = [str(self.program), "-m", model, "-u", server.url, "-i", "grpc", "-a"]
        argv += ["--shared-memory", "system", "--output-shared-memory-size", str(ANSWER_BYTES)]
        argv += ["--concurrency-range", str(concurrency), "--percentile", "99"]
        argv += ["--measurement-interval", str(round(1000 * seconds / WINDOWS))]
        # An unsteady machine is no error: whoever repeats the measurement sees the spread.
        argv += ["--max-trials", str(WINDOWS), "--stability-percentage", "999"]
        before = _counted(server, model)
        asked = subprocess.run(
            argv, capture_output=True, text=True, check=False, env=self.env, timeout=300
        )
        after = _counted(server, model)
        rate = re.findall(r"throughput: ([\d.]+) infer/sec", asked.stdout)
        late = re.findall(r"(p50|p99) latency: (\d+) usec", asked.stdout)
        if not rate or not late:
            said = (asked.stdout + asked.stderr)[-600:]
            raise InstallError(f"perf_analyzer measured nothing: {said}")
        ms = {part: int(us) / 1000 for part, us in late}
        pictures, executions = (b - a for a, b in zip(before, after, strict=True))
        batch = pictures / executions
        return Ceiling(model, concurrency, float(rate[-1]), ms["p50"], ms["p99"], batch)


def perf_analyzer(home: tritonserver.TritonHome) -> Perf:
    """Return the program, downloaded if it is not there yet.

    Raises:
        InstallError: It cannot be had.
    """
    folder = tritonserver.cache_folder() / "perf-analyzer-2.50.0"
    program = folder / PROGRAM
    if not program.exists():
        if platform.machine() != "x86_64":
            raise InstallError("perf_analyzer's wheel is for x86-64 only")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as part:
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
            options = ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", part, WHEEL]
            asked = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)
            wheels = list(Path(part).glob("*.whl"))
            if not wheels:
                raise InstallError(f"{WHEEL} cannot be downloaded: {asked.stderr.strip()[-300:]}")
            with zipfile.ZipFile(wheels[0]) as wheel:
                inside = next(n for n in wheel.namelist() if n.endswith(f"/bin/{PROGRAM}"))
                unpacked = Path(wheel.extract(inside, part))
            unpacked.chmod(0o755)
            shutil.move(unpacked, program)
    libraries = home.packages / "nvidia_pytriton.libs"
    for pattern, name in LIBRARIES.items():
        if not (folder / name).exists():
            (folder / name).symlink_to(next(libraries.glob(pattern)))
    return Perf(program, os.environ | {"LD_LIBRARY_PATH": str(folder)})


def measure(
    model: str,
    concurrencies: Sequence[int],
    *,
    models: Path = OWN_MODELS,
    platform_name: str = "python",
    seconds: float = 4.0,
) -> list[Ceiling]:
    """Ask a Triton of its own.

    Raises:
        InstallError: Triton or perf_analyzer cannot be had.
        TimeoutError: The model does not get ready.
    """
    home = tritonserver.install(lambda _: None)
    perf = perf_analyzer(home)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "triton.log"
        with tritonserver.Server(home, models, log, config_name=platform_name) as server:
            _wait(server, model, log)
            return [perf.ask(server, model, number, seconds) for number in concurrencies]


def _wait(server: tritonserver.Server, model: str, log: Path) -> None:
    until = time.monotonic() + READY_S
    address = f"http://127.0.0.1:{server.http_port}/v2/models/{model}/ready"
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except urllib.error.URLError:
            time.sleep(0.2)
    raise TimeoutError(f"{model} is not ready: {log.read_text()[-1000:]}")


def _counted(server: tritonserver.Server, model: str) -> tuple[int, int]:
    address = f"http://127.0.0.1:{server.http_port}/v2/models/{model}/stats"
    with urllib.request.urlopen(address, timeout=10) as answer:
        [stats] = json.load(answer)["model_stats"]
    return int(stats["inference_count"]), int(stats["execution_count"])


@click.command()
@click.option("--model", default="yolov5", show_default=True)
@click.option("--concurrency", default="1,2,4", show_default=True, help="Requests under way.")
@click.option("--models", type=click.Path(path_type=Path, exists=True), default=OWN_MODELS)
@click.option("--platform", "platform_name", default="python", show_default=True)
@click.option("--seconds", default=4.0, show_default=True, help="Of each measurement.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Also write JSON.")
def main(
    *,
    model: str,
    concurrency: str,
    models: Path,
    platform_name: str,
    seconds: float,
    json_path: Path | None,
) -> None:
    """Measure what Triton answers."""
    wanted = [int(number) for number in concurrency.split(",")]
    found = measure(model, wanted, models=models, platform_name=platform_name, seconds=seconds)
    table = Table("requests under way", "pictures/s", "p50", "p99", "batch", title=model)
    for each in found:
        table.add_row(
            str(each.concurrency),
            f"{each.per_s:.1f}",
            f"{each.p50_ms:.1f} ms",
            f"{each.p99_ms:.1f} ms",
            f"{each.batch:.1f}",
        )
    console = Console()
    console.print(table)
    console.print(str(this_machine()))
    if json_path:
        json_path.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
