"""The entities of a camera and of the system, and what their templates make of messages. Pure.

Who is unavailable when is decided here. A sensor that says "nothing is happening" is available
only while the whole chain works, so that a dead detector does not look like a quiet night. What
tells of the past (the picture, the newest alert, the events) stays: an entity that comes back
changes its state, and would fire the automations that wait for a change.
"""

from collections.abc import Iterator

from classifier_svc.homeassistant_device import Component, Device, Entry, words
from secondlook import topics
from secondlook.config import Config

SERVICES = ("producers", "detector", "classifier", "triton")
EVENT_TYPES = ("alert", "rejected", "unverified", "model_down", "model_up")
REJECTED_EVERY_S = 10
"""Home Assistant stores every event: of rejections in a row it is given one in this time. The
counter counts them all."""
STATS_GONE_AFTER_S = 35
"""Three missing messages on `stats/…`."""
BLIND_FACTS = ("why", "since")
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
_BLIND = "{{ ('ON' if value_json.blind else 'OFF') if value_json is defined else None }}"
_MODEL = "{{ 'ON' if value_json.counters['classifier_model_up'] | default(0) else 'OFF' }}"
_SUM = (
    "{{{{ value_json.counters.items() | selectattr(0, 'match', '{name}_total')"
    " | map(attribute=1) | sum | int }}}}"
)


def of_camera(device: Device, config: Config) -> Iterator[Entry]:
    """Yield what a camera has."""
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


def _alert(device: Device, label: str) -> Entry:
    watching = (
        device.topic(topics.CAMERA_STATUS),
        *(device.status(service) for service in SERVICES),
    )
    return device.entity(
        "binary_sensor",
        f"alert-{label}",
        words(label),
        device_class="safety",
        state_topic=device.topic(topics.STATE, label=label),
        json_attributes_topic=device.topic(topics.LAST, label=label),
        json_attributes_template=_FACTS.format(names=list(ALERT_FACTS)),
        **device.needs(*watching),
    )


def _trigger(device: Device, kind: str, subtype: str, level: str) -> Entry:
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


def _newest(device: Device) -> Iterator[Entry]:
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


def _settings(device: Device) -> Iterator[Entry]:
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


def _figures(device: Device) -> Iterator[Entry]:
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
    blind_now = device.topic(topics.BLIND_NOW)
    yield device.entity(
        "binary_sensor",
        "blind",
        "Blind",
        device_class="problem",
        state_topic=blind_now,
        value_template=_BLIND,
        json_attributes_topic=blind_now,
        json_attributes_template=_FACTS.format(names=list(BLIND_FACTS)),
        entity_category="diagnostic",
        # Most people want to know what is unavailable, and not the same a second time.
        enabled_by_default=False,
        **device.needs(device.status("classifier")),
    )


def of_system(device: Device) -> Iterator[Entry]:
    """Yield what belongs to no camera."""
    for service in SERVICES:
        yield device.entity(
            "binary_sensor",
            service,
            words(service),
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


def _from_stats(device: Device, service: str) -> Component:
    """Return the options of what is told every ten seconds and not retained."""
    return {
        "state_topic": device.topic(topics.STATS, service=service),
        "expire_after": STATS_GONE_AFTER_S,
        "entity_category": "diagnostic",
    }
