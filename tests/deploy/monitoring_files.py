"""What lies in deploy/monitoring, as data, and Debian's Prometheus where it is unpacked."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "monitoring"
UNPACKED = ROOT / ".cache" / "prometheus" / "usr" / "bin"
MISSING = "prometheus is not there: requirements/prometheus unpacks Debian's"
GPU_ONLY = {"nv_gpu_utilization", "nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes"}
"""What Triton exports where there is an NVIDIA GPU, and nowhere else."""
PROMETHEUS_OWN = {"up", "ALERTS"}
_NAME = re.compile(r"\b(?:secondlook|nv|process)_[a-z0-9_]+|\bup\b|\bALERTS\b")


def program(name: str) -> str | None:
    """Return the path of `prometheus` or `promtool`."""
    return shutil.which(name) or shutil.which(name, path=UNPACKED)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "grafana/dashboards/secondlook.json").read_text())
    return found


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Yield panel and query, as Grafana would send it for all cameras."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            expr = target["expr"].replace("$camera", ".*").replace("$__rate_interval", "30s")
            yield f"{panel['title']}: {target['legendFormat']}", expr


def names_in(expr: str) -> set[str]:
    """Return the metrics that an expression names."""
    return set(_NAME.findall(re.sub(r"\{[^}]*\}", "", expr)))
