"""What the service makes of the configuration, and the statuses it keeps."""

import asyncio
from typing import Any

import pytest

from producers.service import orders_of
from producers.statuses import Statuses
from secondlook import topics
from secondlook.config_file import load
from secondlook.errors import ConfigError

LEFT: list[list[float]] = [[0, 0], [0.5, 0], [0.5, 1]]


def config_of(tmp_path, text: str):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load(path)


def test_every_camera_gets_a_fair_share_of_the_store(tmp_path) -> None:
    config = config_of(
        tmp_path,
        "frames: {max_mb: 90}\n"
        "cameras: {a: {source: 'webcam:0'}, b: {source: 'webcam:1'}, c: {source: 'webcam:2'}}",
    )
    assert [(o.camera, o.budget_bytes, o.cameras) for o in orders_of(config)] == [
        (name, 30_000_000, 3) for name in "abc"
    ]


def test_an_order_carries_everything_a_capture_process_needs(tmp_path) -> None:
    config = config_of(
        tmp_path,
        f"cameras: {{yard: {{source: 'rtsp://10.0.0.7/x', username: me, password: 'p@ss', "
        f"fps: 7, max_width: 640, zones: {{left: {LEFT}}}, masks: [{LEFT}], blank_after_s: 4, "
        f"motion: {{enabled: true}}}}}}",
    )
    order = orders_of(config)[0]
    assert order.address == "rtsp://me:p%40ss@10.0.0.7/x"
    assert "p%40ss" not in repr(order)
    assert (order.fps, order.max_width, order.blank_after_s) == (7, 640, 4)
    assert order.motion.enabled
    assert order.zones == order.masks == [[(0, 0), (0.5, 0), (0.5, 1)]]
    assert type(order).model_validate_json(order.line()) == order


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("file:clips/a.mp4?loop=1", "file:{base}/clips/a.mp4?loop=1"),
        ("file:/clips/a.mp4", "file:/clips/a.mp4"),
        ("folder:pictures", "folder:{base}/pictures"),
        ("synthetic:?seed=1", "synthetic:?seed=1"),
    ],
)
def test_a_relative_path_starts_from_the_configuration(tmp_path, source, wanted) -> None:
    config = config_of(tmp_path, f"cameras: {{yard: {{source: '{source}'}}}}")
    assert orders_of(config)[0].address == wanted.format(base=tmp_path)


def test_every_wrong_source_is_named_at_once(tmp_path) -> None:
    config = config_of(
        tmp_path,
        "cameras: {a: {source: 'webcam:x'}, b: {source: 'file:'}, c: {source: 'webcam:0'}}",
    )
    with pytest.raises(ConfigError) as caught:
        orders_of(config)
    assert "cameras.a.source: webcam: needs a number" in str(caught.value)
    assert "cameras.b.source: file: needs a path" in str(caught.value)
    assert "cameras.c" not in str(caught.value)


class Bus:
    """A bus that may be away or too busy."""

    def __init__(self) -> None:
        self.connected = True
        self.busy = False
        self.sent: list[tuple[str, str]] = []
        self.said = asyncio.Event()
        self.greet: Any = None

    def on_connect(self, callback) -> None:
        self.greet = callback

    def send(self, topic, message, *, camera) -> bool:
        assert topic is topics.CAMERA_STATUS
        if self.busy:
            return False
        self.sent.append((camera, message))
        self.said.set()
        return True


async def test_every_camera_is_offline_until_it_is_not() -> None:
    bus: Any = Bus()
    statuses = Statuses(bus, ["yard", "porch"])
    await bus.greet()
    statuses.set("yard", True)
    assert bus.sent == [("yard", "offline"), ("porch", "offline"), ("yard", "online")]


async def test_a_status_is_said_once() -> None:
    bus: Any = Bus()
    statuses = Statuses(bus, ["yard"])
    for _ in range(3):
        statuses.set("yard", True)
    assert bus.sent == [("yard", "online")]


async def test_every_status_is_said_again_to_a_broker_that_returned() -> None:
    bus: Any = Bus()
    statuses = Statuses(bus, ["yard", "porch"])
    statuses.set("yard", True)
    bus.connected = False
    statuses.set("yard", False)
    statuses.set("porch", True)
    bus.connected = True
    bus.sent.clear()
    await bus.greet()
    assert bus.sent == [("yard", "offline"), ("porch", "online")]


async def test_what_could_not_be_said_is_said_later(monkeypatch) -> None:
    monkeypatch.setattr("producers.statuses.AGAIN_S", 0.001)
    bus: Any = Bus()
    statuses = Statuses(bus, ["yard"])
    bus.busy = True
    statuses.set("yard", True)
    keeping = asyncio.create_task(statuses.keep())
    await asyncio.sleep(0.01)
    assert bus.sent == []
    bus.busy = False
    async with asyncio.timeout(60):
        await bus.said.wait()
    keeping.cancel()
    assert bus.sent == [("yard", "online")]


async def test_goodbye_is_said_for_every_camera() -> None:
    bus: Any = Bus()
    statuses = Statuses(bus, ["yard", "porch"])
    await bus.greet()
    statuses.set("yard", True)
    bus.sent.clear()
    statuses.all_offline()
    assert bus.sent == [("yard", "offline")]
