"""The compose files as `docker compose` understands them. Needs no engine."""

import re
import tomllib
from typing import Any

import pytest

from secondlook.config_file import load
from tests.compose.project import ADDED, DEVICES, ROOT, Project, files_for, why_no_compose

pytestmark = pytest.mark.skipif(bool(why_no_compose()), reason=why_no_compose() or "-")
GIVEN = {"TRITON_URL": "192.0.2.1:8001", "RENDER_GID": "104"}
OURS = ("producers", "detector", "classifier", "page", "triton", "setup", "mosquitto", "tools")
THEIRS = {"prometheus": "65534:65534", "grafana": "472:0"}
"""Images that bring a user of their own."""


def project(files: str = "compose.yaml", **environment: str) -> Project:
    chosen = {"COMPOSE_FILE": files} if files else {}
    return Project(ROOT, "files", chosen | GIVEN | environment)


def services(files: str = "compose.yaml", **environment: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = project(files, **environment).config("--profile", "*")[
        "services"
    ]
    return found


@pytest.fixture(scope="module")
def plain() -> dict[str, dict[str, Any]]:
    return services()


@pytest.mark.parametrize("device", DEVICES)
def test_each_kind_of_machine_is_understood_with_every_profile(device: str) -> None:
    project(files_for(device)).run("--profile", "*", "config", "--quiet")
    project(files_for(device)).run("config", "--quiet")


@pytest.mark.parametrize("name", ADDED)
def test_each_file_that_may_be_added_is_understood(name: str) -> None:
    project(files_for("cpu", [name])).run("--profile", "*", "config", "--quiet")


def test_the_switch_in_the_example_chooses_the_file_of_the_machine() -> None:
    example = (ROOT / ".env.example").read_text()
    listed = re.findall(r"^#   ([a-z0-9-]+)  ", example, re.MULTILINE)
    assert sorted(listed) == sorted(DEVICES)
    done = project("").run("--env-file", ".env.example", "config", "--services")
    assert set(done.stdout.split()) == {*OURS} - {"tools"}


def test_every_variable_of_the_files_stands_in_the_example() -> None:
    files = [ROOT / "compose.yaml", *(ROOT / "deploy" / "compose").glob("*.yaml")]
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_0-9]+)", "".join(path.read_text() for path in files)))
    explained = set(re.findall(r"\b[A-Z][A-Z_0-9]+\b", (ROOT / ".env.example").read_text()))
    assert used - explained == {"VERSION", "REVISION"}, "these two are given by `make images`"


def test_images_have_the_version_of_the_project(plain: dict[str, dict[str, Any]]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = [found["image"] for found in plain.values() if "build" in found]
    assert {image.partition(":")[2] for image in images} == {version}


@pytest.mark.parametrize("device", DEVICES)
def test_every_container_is_confined_and_bounded(device: str) -> None:
    containers = services(files_for(device))
    # A small system that begins as root; only who wants to try it starts it.
    assert containers.pop("homeassistant")["profiles"] == ["homeassistant"]
    for name, found in containers.items():
        assert found["user"] == THEIRS.get(name, "10001:10001"), name
        assert found["read_only"] is True, name
        assert found["cap_drop"] == ["ALL"], name
        assert found["security_opt"] == ["no-new-privileges:true"], name
        assert found["init"] is True, name
        assert 0 < found["pids_limit"] <= 512, name
        assert 0 < int(found["mem_limit"]) <= 8 << 30, name
        assert found["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
        assert found["stop_grace_period"] == "15s", name
        assert not {"privileged", "cap_add", "pid", "ipc"} & set(found), name


def test_what_is_published_is_on_loopback(plain: dict[str, dict[str, Any]]) -> None:
    published = {
        (name, port["host_ip"], port["published"], port["target"])
        for name, found in plain.items()
        for port in found.get("ports", ())
    }
    assert published == {
        ("mosquitto", "127.0.0.1", "8883", 8883),
        ("page", "127.0.0.1", "8090", 8090),
        ("prometheus", "127.0.0.1", "9090", 9090),
        ("grafana", "127.0.0.1", "3000", 3000),
        ("homeassistant", "127.0.0.1", "8123", 8123),
    }


def test_frames_are_written_by_the_producers_alone(plain: dict[str, dict[str, Any]]) -> None:
    mounts = {
        name: mount.get("read_only", False)
        for name, found in plain.items()
        for mount in found.get("volumes", ())
        if mount["target"] == "/frames"
    }
    assert mounts == {"producers": False, "detector": True, "classifier": True, "page": True}


def test_each_service_gets_its_own_login_and_no_other(plain: dict[str, dict[str, Any]]) -> None:
    for name in ("producers", "detector", "classifier", "page"):
        sources = [mount["source"] for mount in plain[name]["volumes"]]
        assert [source for source in sources if source.startswith("login-")] == [f"login-{name}"]
        assert "access" not in sources


def test_triton_and_who_asks_it_can_reach_nobody_outside(plain: dict[str, dict[str, Any]]) -> None:
    networks = project().config()["networks"]
    closed = {name for name, found in networks.items() if found.get("internal")}
    for name in ("triton", "detector", "classifier"):
        assert set(plain[name]["networks"]) <= closed, name
    assert plain["setup"]["network_mode"] == "none"


def test_another_triton_is_asked_without_shared_memory() -> None:
    found = services(files_for("external"))
    for name in ("detector", "classifier"):
        environment = found[name]["environment"]
        assert environment["SECONDLOOK__TRITON__URL"] == GIVEN["TRITON_URL"]
        assert environment["SECONDLOOK__TRITON__SHARED_MEMORY"] == "off"
        assert "outside" in found[name]["networks"]
    started = project(files_for("external")).run("config", "--services").stdout.split()
    assert "triton" not in started


def test_without_its_address_another_triton_is_asked_for_in_a_sentence() -> None:
    done = project(files_for("external"), TRITON_URL="").run("config", "--quiet", check=False)
    assert done.returncode != 0
    assert "say in .env where Triton is" in done.stderr


def test_a_broker_of_ones_own_takes_the_place_of_ours() -> None:
    files = files_for("cpu", ["own-broker"])
    started = project(files).run("config", "--services").stdout.split()
    assert sorted(started) == ["classifier", "detector", "page", "producers", "triton"]
    for name in started:
        environment = services(files)[name]["environment"]
        ours = {k: v for k, v in environment.items() if k.startswith("SECONDLOOK__MQTT__")}
        assert not any(ours.values()), (name, ours)


@pytest.mark.parametrize("device", ["gpu-tensorrt", "jetson6", "jetson7"])
def test_engines_are_built_before_triton_serves_them(device: str) -> None:
    found = services(files_for(device))
    triton, builder = found["triton"], found["build-engines"]
    waits = triton["depends_on"]["build-engines"]["condition"]
    assert waits == "service_completed_successfully"
    assert triton["environment"]["PLATFORM"] == "tensorrt"
    assert triton["image"] == builder["image"]
    assert "build" not in triton
    assert "build" not in builder
    served = [mount for mount in triton["volumes"] if mount["target"] == "/models"]
    assert [(mount["source"], mount["read_only"]) for mount in served] == [("engines", True)]


@pytest.mark.parametrize("device", ["jetson6", "jetson7"])
def test_a_jetson_gets_its_gpu_through_the_nvidia_runtime(device: str) -> None:
    found = services(files_for(device))
    assert {found[name]["runtime"] for name in ("triton", "build-engines")} == {"nvidia"}
    assert ("igpu" in found["triton"]["image"]) is (device == "jetson6")


@pytest.mark.parametrize("device", ["gpu", "gpu-tensorrt"])
def test_a_pc_gets_its_gpu_as_a_reserved_device(device: str) -> None:
    [device_found] = services(files_for(device))["triton"]["deploy"]["resources"]["reservations"][
        "devices"
    ]
    assert (device_found["driver"], device_found["capabilities"]) == ("nvidia", ["gpu"])


def test_nothing_of_the_build_context_can_carry_a_secret() -> None:
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert kept[1] == "*", "all is left out but what is named"
    named = [line[1:] for line in kept if line.startswith("!")]
    assert not [line for line in named if "env" in line or "config.yaml" in line or line == "*"]


def test_the_demo_is_a_valid_configuration() -> None:
    assert list(load(ROOT / "deploy" / "demo.yaml").cameras) == ["demo"]
