"""No password in anything that a run puts out: every log, message, file, page and command line."""

import base64
import contextlib
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from secondlook import access
from secondlook.local.tritonserver import Server, TritonHome
from tests.integration.broker_fixtures import MOSQUITTO, free_port
from tests.integration.secured_broker import Secured
from tests.integration.secured_stack import SecuredStack, secondlook, secured_stack
from tests.integration.stack_models import write_repository
from tests.integration.test_rtsp import clip, playing

__all__ = ["clip"]
pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(400),
    pytest.mark.skipif(MOSQUITTO is None, reason="apt-get install mosquitto"),
]
RIGHT, WRONG, AWAY, CHILD, KEYED = (
    "rosebud/7@x",
    "hunter2-wrong",
    "xyzzy-away",
    "plugh-child",
    "frobnicate:9",
)
COMPLAINS = "echo '401 for rtsp://me:{}@127.0.0.1/live' >&2; sleep 0.2; exit 1"


def forms(secret: str) -> set[bytes]:
    """Return a secret as it may be written somewhere."""
    plain = secret.encode()
    encoded = {base64.b64encode(b"x" * pad + plain)[pad and 4 : -4] for pad in range(3)}
    return {plain, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode(), *encoded}


@pytest.fixture(scope="module")
def triton(triton_home: TritonHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("triton")
    with Server(triton_home, write_repository(folder / "models"), folder / "log.txt") as server:
        yield server


@pytest.fixture
def stack(triton, clip, tmp_path: Path) -> Iterator[SecuredStack]:
    broker = Secured(tmp_path / "broker")
    with playing(clip, "me", RIGHT) as locked:
        at = f"127.0.0.1:{locked.port}/live"
        command = COMPLAINS.format(CHILD)
        cameras = {
            "right": {"source": f"rtsp://me:{quote(RIGHT, safe='')}@{at}"},
            "keyed": {"source": f"rtsp://{at}", "username": "me", "password": KEYED},
            "wrong": {"source": f"rtsp://me:{WRONG}@{at}"},
            "nowhere": {"source": f"rtsp://me:{quote(RIGHT, safe='')}@{at}x/none"},
            "away": {"source": f"rtsp://me:{AWAY}@127.0.0.1:{free_port()}/live"},
            "child": {"source": f'ffmpeg:?width=320&height=240&command=sh -c "{command}"'},
        }
        try:
            with secured_stack(broker, triton, tmp_path, cameras) as stack:
                yield stack
        finally:
            broker.stop()


def command_lines() -> dict[str, bytes]:
    """Return what every user of this machine can read of every process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[str(path)] = path.read_bytes()
        except OSError:
            continue
    return found


def page_of(port: int, page: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=10) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return bytes(error.read())


def written(folder: Path) -> dict[str, bytes]:
    """Return every file of a run but those in which people put the secrets."""
    given = {"passwords", "certificates"}
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".yaml" and not given & set(path.parts):
            # The broker still writes: into a new file that takes the old one's name.
            with contextlib.suppress(FileNotFoundError):
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def leaks(output: dict[str, bytes], secrets: list[str]) -> set[tuple[str, str]]:
    return {
        (where, secret)
        for where, said in output.items()
        for secret in secrets
        if any(form in said for form in forms(secret))
    }


def test_a_whole_run_puts_out_no_password(stack: SecuredStack, tmp_path: Path) -> None:
    stack.until(lambda: stack.on("secondlook/alerts/right/small_gun"))
    seen: dict[str, bytes] = {}
    # A program of an ffmpeg: source is the exception that is documented; the other is a camera.
    others = (b"sh\0-c\0", b"rtsp_server.py")
    deadline = time.monotonic() + 12
    while time.monotonic() < deadline:
        lines = command_lines().items()
        ours = ((path, line) for path, line in lines if not any(each in line for each in others))
        seen |= {f"{path} {hash(line)}": line for path, line in ours}
        time.sleep(0.05)
    # A message that cannot be read is repeated in a dead letter.
    with stack.broker.client("operator") as operator:
        operator.publish("secondlook/feedback", b"{rubbish", qos=1).wait_for_publish(10)
    stack.until(lambda: stack.on("secondlook/dead-letters/classifier"))
    stack.until(lambda: stack.on("secondlook/stats/producers"))
    pages = {
        f"{port}{page}": page_of(port, page)
        for port in stack.ports.values()
        for page in ("/metrics", "/livez", "/readyz", "/nowhere")
    }
    for camera in ("wrong", "away", "nowhere", "keyed"):
        offline = f"camera {camera} is offline"
        stack.until(lambda offline=offline: offline in stack.log("producers").read_text())  # type: ignore[misc]
    complaint = re.compile(r"401 for rtsp://\S*@127.0.0.1")
    stack.until(lambda: complaint.search(stack.log("producers").read_text()))
    checked = secondlook("check", "--config", str(stack.config("operator")))
    told = {"check": (checked.stdout + checked.stderr).encode()}
    told |= {f"message {number} {path}": said for number, (path, said) in enumerate(stack.heard)}
    stack.end()
    files = written(tmp_path)

    secrets = [RIGHT, WRONG, AWAY, CHILD, KEYED]
    secrets += [stack.broker.password(user.name) for user in access.USERS]
    output = seen | pages | told | files
    assert {"data/secondlook.sqlite3", "producers.log", "broker/broker.log"} <= set(files)
    assert len(stack.heard) > 50
    assert leaks(output, secrets) == set()


def test_a_password_on_the_command_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("cameras: {yard: {source: 'synthetic:'}}\nmqtt: {username: me}\n")
    for override in (
        "mqtt.password=hunter2",
        "mqtt={username: me, password: hunter2}",
        "cameras.yard.password=hunter2",
        "cameras.yard.source=rtsp://me:hunter2@192.0.2.1/live",
        "cameras={yard: {source: 'rtsp://me:hunter2@192.0.2.1/live'}}",
    ):
        done = secondlook("check", "--config", str(path), "--set", override)
        assert done.returncode == 78
        assert "others can read what stands on command lines" in done.stderr
        assert "hunter2" not in done.stdout + done.stderr


def test_a_password_by_name_is_taken_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("cameras: {yard: {source: 'synthetic:'}}\nmqtt: {username: me, port: 9}\n")
    for override, said in (
        ("mqtt.password=!env NOT_SET_ANYWHERE", "!env NOT_SET_ANYWHERE: that variable is not set"),
        ("mqtt.password=!file no/where", "!file no/where: No such file"),
    ):
        done = secondlook("check", "--config", str(path), "--set", override)
        assert done.returncode == 78
        assert said in done.stderr
