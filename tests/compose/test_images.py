"""The images: how large they are, what they are called, and that what is in them works."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compose.project import ROOT, Project
from tests.compose.test_kills import say

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.timeout(4000)]
MB = 1_000_000
OURS = ("producers", "detector", "classifier", "page", "tools", "triton")
MOST_MB = {"producers": 310, "detector": 290, "classifier": 290, "page": 295}
MOST_MB |= {"tools": 325, "triton": 320}
"""Above the base image, which is about 130 MB (python:3.11-slim-bookworm)."""
CLIP = "/opt/secondlook/packages/producers/demo/demo.mp4"
CONFIG = f"""\
cameras:
  piped:
    source: "ffmpeg:?width=320&height=180&command=ffmpeg -loglevel error -i {CLIP} -an -vf
      fps=5,scale=320:180 -f rawvideo -pix_fmt bgr24 -"
"""


def inspected(image: str) -> dict[str, Any]:
    argv = ["docker", "image", "inspect", image]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def ran(
    image: str, *argv: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    confined = ("--rm", "--read-only", "--cap-drop=ALL", "--network=none", "--tmpfs=/tmp")
    command = ["docker", "run", *confined, *options, "--entrypoint", argv[0], image, *argv[1:]]
    return subprocess.run(command, capture_output=True, timeout=300, check=False)


@pytest.mark.parametrize("name", OURS)
def test_an_image_is_small_and_says_what_it_is(clone: Project, name: str) -> None:
    image = inspected(image_of(name))
    base = clone.config()["services"]["detector"]["build"]["args"]["PYTHON_IMAGE"]
    size, base_size = (inspected(each)["Size"] // MB for each in (image_of(name), base))
    say(f"{name:12} {size} MB, {size - base_size} MB of it above {base}")
    assert size - base_size <= MOST_MB[name]
    assert image["Config"]["User"] == "10001:10001"
    labels = image["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == "test"
    assert labels["org.opencontainers.image.revision"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def image_of(name: str) -> str:
    return f"secondlook-{name}:test"


@pytest.mark.parametrize("name", OURS[:5])
def test_no_image_has_training_tools_or_another_services_code(clone: Project, name: str) -> None:
    listed = ran(image_of(name), "ls", "/opt/secondlook/packages").stdout.decode().split()
    own = {
        "detector": {"detector_svc"},
        "classifier": {"classifier_svc"},
        "page": set[str](),
    }.get(name, {"producers"})
    assert {"producers", "detector_svc", "classifier_svc", "training"} & set(listed) == own
    assert not {"tensorflow", "torch", "onnx", "setuptools", "pytest"} & set(listed)


def test_the_images_ffmpeg_draws_decodes_and_knows_the_hardware(clone: Project) -> None:
    raw = ("-f", "rawvideo", "-pix_fmt", "bgr24", "-")
    quiet = ("ffmpeg", "-loglevel", "error")
    drawn = ran(
        image_of("producers"), *quiet, *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=5"),
        "-frames:v", "3", *raw,
    )  # fmt: skip
    assert len(drawn.stdout) == 3 * 64 * 48 * 3, drawn.stderr
    decoded = ran(
        image_of("producers"), *quiet, "-i", CLIP, "-vf", "fps=5,scale=64:48", "-t", "2", *raw
    )
    assert len(decoded.stdout) == 10 * 64 * 48 * 3, decoded.stderr
    told = ran(image_of("producers"), "ffmpeg", "-hide_banner", "-hwaccels").stdout.decode().split()
    assert {"cuda", "vaapi"} <= set(told)


def test_a_camera_behind_ffmpeg_gives_pictures_in_its_container(
    clone: Project, tmp_path: Path
) -> None:
    config = clone.folder / "piped.yaml"
    config.write_text(CONFIG)
    config.chmod(0o644)
    done = ran(
        image_of("producers"),
        *("python", "-m", "producers.probe", "--config", "config.yaml", "--camera", "piped"),
        *("--picture", "/tmp/piped.jpg"),  # noqa: S108 - of the container
        options=("--volume", f"{config}:/secondlook/config.yaml:ro"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["width"] == 320


def test_a_time_zone_is_known_in_the_image(clone: Project) -> None:
    code = "import zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin')"
    assert ran(image_of("classifier"), "python", "-c", code).returncode == 0


def test_the_lock_of_the_images_is_that_of_the_project() -> None:
    def versions(name: str) -> set[str]:
        lines = (ROOT / "requirements" / name).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line}

    tool = {line for line in versions("services.txt") if line.startswith("setuptools==")}
    for name in ("tools.txt", "page.txt"):
        assert versions("services.txt") - versions(name) == tool
