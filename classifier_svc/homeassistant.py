"""What Home Assistant is told: one discovery payload for each camera and one for the system.

Pure: the configuration in, JSON values out. The payloads are in the device format (since
2024.12) and need nothing but Home Assistant's MQTT integration.

Who is unavailable when is decided here. A sensor that says "nothing is happening" is available
only while the whole chain works, so that a dead detector does not look like a quiet night. What
tells of the past (the picture, the newest alert, the events) stays: an entity that comes back
changes its state, and would fire the automations that wait for a change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from secondlook import topics
from secondlook.config import Config
from secondlook.topics import Topic

Component = dict[str, Any]
Entry = tuple[str, Component]
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

SERVICES = ("producers", "detector", "classifier", "triton")
EVENT_TYPES = ("alert", "rejected", "unverified", "model_down", "model_up")
REJECTED_EVERY_S = 10
"""Home Assistant stores every event: of rejections in a row it is given one in this time. The
counter counts them all."""
STATS_GONE_AFTER_S = 35
"""Three missing messages on `stats/…`."""
LONGEST_ROOT = 31
"""So that the id of a device fits into a level of a topic, with the name of a camera."""
ALERT_FACTS = (
    *("id", "event", "sequence", "label", "score", "status", "started_at", "updated_at"),
    *("ended_at", "reason", "supersedes", "late", "snapshot_id"),
)
"""Of an alert, what becomes attributes: they are stored anew with each of its messages."""

# A deleted message comes as an empty one. `None` makes a state unknown.
_FIELD = "{{{{ value_json.{name} if value_json is defined else None }}}}"
_FACTS = (
    "{{{{ dict(value_json.items() | selectattr(0, 'in', {names})) | to_json"
    " if value_json is defined else '{{}}' }}}}"
)
_EVENT = (
    "{{% set last = as_timestamp(this.state, none) %}}"
    "{{% set again = value_json.event_type == 'rejected' == this.attributes.event_type"
    " and last is not none and as_timestamp(now()) - last < {seconds} %}}"
    "{{{{ '' if again else value }}}}"
)
# Labels whose scores differ have an object of them, which is no number to show.
_NUMBER = "{{ value_json if value_json is number else None }}"
_NEW = "{{ value_json.event if not value_json.test else 'test' }}"
_DELAY = (
    "{{ (as_timestamp(value_json.updated_at) - as_timestamp(value_json.started_at)) | round(2)"
    " if value_json is defined else None }}"
)
_FPS = "{{{{ value_json.counters['camera_fps{{camera={camera}}}'] | default(none) }}}}"
_MODEL = "{{ 'ON' if value_json.counters['classifier_model_up'] | default(0) else 'OFF' }}"
_SUM = (
    "{{{{ value_json.counters.items() | selectattr(0, 'match', '{name}_total')"
    " | map(attribute=1) | sum | int }}}}"
)


def devices(config: Config, version: str) -> dict[str, Payload]:
    """Return the discovery payload of each device by its id.

    Args:
        config: The whole configuration; if `homeassistant.enabled` is false there is none.
        version: Of this software.
    """
    if not config.homeassistant.enabled:
        return {}
    root = config.mqtt.root
    system = _Device(_id(root), root, "system")
    found = {system.id: _payload("Second Look", "System", version, _system(system))}
    for camera in config.cameras:
        device = _Device(f"{system.id}-{camera}", root, camera)
        components = _camera(device, config)
        payload = _payload(_words(camera), "Camera", version, components)
        payload["device"] |= {"via_device": system.id}
        found[device.id] = payload
    for device_id, payload in found.items():
        payload["device"]["identifiers"] = [device_id]
    return found


def _id(root: str) -> str:
    """Return the root topic as a name for devices: two installations have two roots."""
    return root.replace("/", "-")[-LONGEST_ROOT:]


def _words(name: str) -> str:
    """Return a slug as people write it: `front_door` as `Front door`."""
    return name.replace("_", " ").strip().capitalize() or name


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


@dataclass(frozen=True)
class _Device:
    """Knows the ids and the topics of one device."""

    id: str
    root: str
    name: str
    """The camera, or `system`."""

    def entity(self, platform: str, key: str, name: str, **more: Any) -> tuple[str, Component]:  # noqa: ANN401 - whatever JSON holds
        """Return an entity under its key.

        Args:
            platform: What kind it is.
            key: Names it for good: what people have set for it hangs on that.
            name: For people.
            more: Its other options.
        """
        slug = "".join(c if c.isalnum() else "_" for c in self.root.lower())
        object_id = f"{slug}_{self.name}_{key.removeprefix('alert-')}"
        return f"{platform}-{key}", {
            "platform": platform,
            "unique_id": f"{self.id}-{key}",
            "name": name,
            # The first is read since 2025.10, the second before.
            "default_entity_id": f"{platform}.{object_id}",
            "object_id": object_id,
            **more,
        }

    def topic(self, topic: Topic[Any], **levels: str) -> str:
        """Return a topic of this camera."""
        given = {"camera": self.name} if "{camera}" in topic.pattern else {}
        return topic.path(self.root, **given, **levels)

    def status(self, service: str) -> str:
        """Return the topic that tells whether a service lives."""
        return topics.STATUS.path(self.root, service=service)

    def needs(self, *paths: str) -> Component:
        """Return the options of what is available only while all of these say `online`."""
        return {"availability": [{"topic": path} for path in paths], "availability_mode": "all"}

    def switched(self, key: str) -> Component:
        """Return the options of what the classifier can be told to do."""
        return self.needs(self.status("classifier")) | {
            "command_topic": self.topic(topics.SET, key=key),
            "state_topic": self.topic(topics.CONFIG, key=key),
            # A command that is kept would be obeyed again.
            "retain": False,
        }


def _camera(device: _Device, config: Config) -> Iterator[Entry]:
    for label in config.alerts.labels:
        yield _alert(device, label)
        yield _trigger(device, "confirmed", label, label)
    if config.classifier.when_model_down == "unverified":
        yield _trigger(device, "unverified", "alert", "unverified")
    yield device.entity(
        "event",
        "events",
        "Events",
        state_topic=device.topic(topics.EVENTS),
        event_types=list(EVENT_TYPES),
        value_template=_EVENT.format(seconds=REJECTED_EVERY_S),
        icon="mdi:eye-check-outline",
    )
    pictures = {"picture": ("Last alert", device.topic(topics.SNAPSHOTS))}
    for kind in config.snapshots.kinds:
        pictures[kind] = (f"Last alert, {kind}", device.topic(topics.PICTURES, kind=kind))
    for key, (name, topic) in pictures.items():
        yield device.entity("image", key, name, image_topic=topic, content_type="image/jpeg")
    yield from _newest(device)
    yield from _settings(device)
    yield from _figures(device)


def _alert(device: _Device, label: str) -> Entry:
    watching = (
        device.topic(topics.CAMERA_STATUS),
        *(device.status(service) for service in SERVICES),
    )
    return device.entity(
        "binary_sensor",
        f"alert-{label}",
        _words(label),
        device_class="safety",
        state_topic=device.topic(topics.STATE, label=label),
        json_attributes_topic=device.topic(topics.LAST, label=label),
        json_attributes_template=_FACTS.format(names=list(ALERT_FACTS)),
        **device.needs(*watching),
    )


def _trigger(device: _Device, kind: str, subtype: str, level: str) -> Entry:
    """Return a device trigger: fires for what begins, never for a test."""
    return f"device_automation-{kind}-{subtype}", {
        "platform": "device_automation",
        "automation_type": "trigger",
        "type": kind,
        "subtype": subtype,
        "topic": device.topic(topics.ALERTS, label=level),
        "value_template": _NEW,
        "payload": "new",
        "qos": 1,
    }


def _newest(device: _Device) -> Iterator[Entry]:
    """Yield what is known of the camera's newest alert."""
    topic = device.topic(topics.NEWEST)
    for key, name, field, more in (
        ("last_label", "Last alert label", "label", {"icon": "mdi:label-outline"}),
        (
            "last_score",
            "Last alert score",
            "score",
            {"state_class": "measurement", "suggested_display_precision": 2, "icon": "mdi:percent"},
        ),
        ("last_time", "Last alert time", "started_at", {"device_class": "timestamp"}),
    ):
        template = _FIELD.format(name=field)
        yield device.entity("sensor", key, name, state_topic=topic, value_template=template, **more)
    yield device.entity(
        "sensor",
        "alarm_delay",
        "Alarm delay",
        state_topic=topic,
        value_template=_DELAY,
        device_class="duration",
        unit_of_measurement="s",
        state_class="measurement",
        suggested_display_precision=2,
        entity_category="diagnostic",
    )


def _settings(device: _Device) -> Iterator[Entry]:
    yield device.entity(
        "switch",
        "armed",
        "Armed",
        payload_on="true",
        payload_off="false",
        icon="mdi:shield-home",
        **device.switched("armed"),
    )
    yield device.entity(
        "number",
        "confirm_score",
        "Confirm score",
        min=0,
        max=1,
        step=0.01,
        mode="box",
        icon="mdi:percent",
        entity_category="config",
        value_template=_NUMBER,
        **device.switched("confirm_score"),
    )
    yield device.entity(
        "number",
        "cooldown_s",
        "Cooldown",
        min=0,
        max=86_400,
        step=1,
        mode="box",
        device_class="duration",
        unit_of_measurement="s",
        entity_category="config",
        **device.switched("cooldown_s"),
    )
    yield device.entity(
        "button",
        "test_alert",
        "Test alert",
        command_topic=device.topic(topics.SET, key="test_alert"),
        payload_press="{}",
        retain=False,
        icon="mdi:bell-ring-outline",
        entity_category="diagnostic",
        **device.needs(device.status("classifier")),
    )


def _figures(device: _Device) -> Iterator[Entry]:
    for key, name, field in (
        ("alerts_today", "Alerts today", "alerts"),
        ("rejections_today", "Rejections today", "rejections"),
    ):
        yield device.entity(
            "sensor",
            key,
            name,
            state_topic=device.topic(topics.COUNTERS),
            value_template=_FIELD.format(name=field),
            state_class="total_increasing",
            icon="mdi:counter",
            **device.needs(device.status("classifier")),
        )
    yield device.entity(
        "sensor",
        "fps",
        "Frames per second",
        state_topic=device.topic(topics.STATS, service="producers"),
        value_template=_FPS.format(camera=device.name),
        unit_of_measurement="fps",
        state_class="measurement",
        suggested_display_precision=1,
        expire_after=STATS_GONE_AFTER_S,
        icon="mdi:speedometer",
        entity_category="diagnostic",
    )
    yield device.entity(
        "binary_sensor",
        "camera",
        "Camera",
        device_class="connectivity",
        state_topic=device.topic(topics.CAMERA_STATUS),
        payload_on="online",
        payload_off="offline",
        entity_category="diagnostic",
        **device.needs(device.status("producers")),
    )


def _system(device: _Device) -> Iterator[Entry]:
    for service in SERVICES:
        yield device.entity(
            "binary_sensor",
            service,
            _words(service),
            device_class="connectivity",
            state_topic=device.status(service),
            payload_on="online",
            payload_off="offline",
            entity_category="diagnostic",
        )
    yield device.entity(
        "binary_sensor",
        "second_model",
        "Second model",
        device_class="running",
        value_template=_MODEL,
        **_from_stats(device, "classifier"),
    )
    for key, name, service, counter in (
        ("crops_dropped", "Crops dropped", "classifier", "classifier_crops_shed"),
        ("frames_dropped", "Frames dropped", "detector", "detector_frames_dropped"),
    ):
        yield device.entity(
            "sensor",
            key,
            name,
            value_template=_SUM.format(name=counter),
            state_class="total_increasing",
            icon="mdi:delete-outline",
            **_from_stats(device, service),
        )
    yield device.entity(
        "sensor",
        "version",
        "Version",
        value_template="{{ value_json.version }}",
        icon="mdi:tag-outline",
        **_from_stats(device, "classifier"),
    )


def _from_stats(device: _Device, service: str) -> Component:
    """Return the options of what is told every ten seconds and not retained."""
    return {
        "state_topic": device.topic(topics.STATS, service=service),
        "expire_after": STATS_GONE_AFTER_S,
        "entity_category": "diagnostic",
    }
