"""What Home Assistant is told: one discovery payload for each camera and one for the system.

Pure: the configuration in, JSON values out. The payloads are in the device format (since
2024.12) and need nothing but Home Assistant's MQTT integration.
"""

from collections.abc import Iterator
from typing import Any

from classifier_svc.homeassistant_device import Device, Entry, words
from classifier_svc.homeassistant_entities import of_camera, of_system
from secondlook.config import Config
from secondlook.topics import Topic

Payload = dict[str, Any]

DISCOVERY: Topic[bytes] = Topic(
    "device/{device}/config",
    bytes,
    "A device and its entities, in Home Assistant's own format.",
    writers=("classifier",),
    readers=("consumers",),
    retain=True,
)
"""Below the discovery prefix."""
BIRTH: Topic[str] = Topic(
    "status",
    str,
    "`online` when Home Assistant has started or has found its broker again.",
    writers=("consumers",),
    readers=("classifier",),
    kind="text",
    max_bytes=256,
)
"""Below the discovery prefix."""
LONGEST_ROOT = 31
"""So that the id of a device fits into a level of a topic, with the name of a camera."""


def devices(config: Config, version: str) -> dict[str, Payload]:
    """Return the discovery payload of each device by its id.

    Args:
        config: The whole configuration; if `homeassistant.enabled` is false there is none.
        version: Of this software.
    """
    if not config.homeassistant.enabled:
        return {}
    root = config.mqtt.root
    system = Device(_id(root), root, "system")
    found = {system.id: _payload("Second Look", "System", version, of_system(system))}
    for camera in config.cameras:
        device = Device(f"{system.id}-{camera}", root, camera)
        components = of_camera(device, config)
        payload = _payload(words(camera), "Camera", version, components)
        payload["device"] |= {"via_device": system.id}
        found[device.id] = payload
    for device_id, payload in found.items():
        payload["device"]["identifiers"] = [device_id]
    return found


def _id(root: str) -> str:
    """Return the root topic as a name for devices: two installations have two roots."""
    return root.replace("/", "-")[-LONGEST_ROOT:]


def _payload(name: str, model: str, version: str, components: Iterator[Entry]) -> Payload:
    return {
        "device": {
            "name": name,
            "manufacturer": "Second Look",
            "model": model,
            "sw_version": version,
        },
        "origin": {"name": "Second Look", "sw_version": version},
        "components": dict(components),
        "qos": 1,
    }
