"""The profile `monitoring`: Prometheus reaches everything that shows numbers.

Where its own image cannot be had, PROMETHEUS_IMAGE=stand-in makes one of Debian's package.
"""

import json
import os
import subprocess
import urllib.request

import pytest

from tests.compose.project import Project, until

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.timeout(4000)]
STAND_IN = "secondlook-test-prometheus"
DOCKERFILE = """
FROM {base}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus \\
    && install -d -o 65534 -g 65534 /prometheus /etc/prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
"""


@pytest.fixture(scope="module")
def watched(clone: Project) -> Project:
    environment = clone.environment | {"COMPOSE_PROFILES": "monitoring"}
    if os.environ.get("PROMETHEUS_IMAGE") == "stand-in":
        base = clone.config()["services"]["detector"]["build"]["args"]["PYTHON_IMAGE"]
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", STAND_IN, "-"],
            input=DOCKERFILE.format(base=base),
            text=True,
            check=True,
            timeout=900,
        )
        environment["PROMETHEUS_IMAGE"] = STAND_IN
    project = Project(clone.folder, clone.name, environment)
    project.run("up", "--detach", "--wait", "prometheus", *SHOWN, timeout_s=600)
    return project


SHOWN = ("producers", "detector", "classifier", "triton")


def targets(project: Project) -> dict[str, str]:
    """Return whom Prometheus asks, and how they are."""
    at = f"http://localhost:{project.environment['PROMETHEUS_PORT']}/api/v1/targets"
    with urllib.request.urlopen(at, timeout=10) as answer:
        active = json.load(answer)["data"]["activeTargets"]
    return {target["scrapeUrl"].split("/")[2].split(":")[0]: target["health"] for target in active}


def test_prometheus_hears_from_everyone(watched: Project) -> None:
    until(lambda: set(targets(watched).values()) == {"up"}, "everyone is up")
    assert set(targets(watched)) >= set(SHOWN)


def test_prometheus_is_nobody_special(watched: Project) -> None:
    status = watched.shell("prometheus", "cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in fields["Uid"].split()
    assert {fields[name] for name in fields if name.startswith("Cap")} == {"0" * 16}
