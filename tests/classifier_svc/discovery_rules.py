"""The rules of Home Assistant's MQTT discovery, as far as they are known to bite; our own list."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2

from secondlook import topics
from secondlook.access import rules

ROOT_KEYS = {
    *("device", "origin", "components", "qos", "encoding", "state_topic", "command_topic"),
    *("availability", "availability_mode", "availability_template", "availability_topic"),
    *("payload_available", "payload_not_available"),
}
DEVICE_KEYS = {
    *("identifiers", "connections", "name", "manufacturer", "model", "model_id", "hw_version"),
    *("sw_version", "serial_number", "suggested_area", "via_device", "configuration_url"),
}
COMMON = {
    *("platform", "unique_id", "name", "default_entity_id", "object_id", "icon", "qos"),
    *("entity_category", "enabled_by_default", "availability", "availability_mode"),
    *("json_attributes_topic", "json_attributes_template"),
}
OWN: Mapping[str, tuple[set[str], set[str]]] = {
    "binary_sensor": (
        {"state_topic"},
        {"device_class", "value_template", "payload_on", "payload_off", "expire_after"},
    ),
    "sensor": (
        {"state_topic"},
        {
            *("device_class", "state_class", "unit_of_measurement", "value_template"),
            *("expire_after", "suggested_display_precision"),
        },
    ),
    "image": (set(), {"image_topic", "url_topic", "content_type", "image_encoding"}),
    "event": ({"state_topic", "event_types"}, {"device_class", "value_template"}),
    "switch": ({"command_topic"}, {"state_topic", "payload_on", "payload_off", "retain"}),
    "number": (
        {"command_topic"},
        {
            *("state_topic", "min", "max", "step", "mode", "retain", "device_class"),
            *("unit_of_measurement", "value_template"),
        },
    ),
    "button": ({"command_topic"}, {"payload_press", "retain"}),
    "device_automation": (
        {"automation_type", "type", "subtype", "topic"},
        {"platform", "payload", "value_template", "qos"},
    ),
}
"""What a platform must have, and what it may have beside `COMMON`."""
DEVICE_CLASSES = {
    "binary_sensor": {"safety", "connectivity", "running", "problem", "motion", "occupancy"},
    "sensor": {"timestamp", "duration"},
    "number": {"duration"},
    "event": {"doorbell", "button", "motion"},
}
UNITS = {"duration": {"s", "ms", "min", "h", "d"}}
SAID_BY_NOBODY = re.compile(r"[+#]")


def mistakes(device: str, payload: Mapping[str, Any], root: str, prefix: str) -> list[str]:
    """Return everything that Home Assistant, or the broker's access rules, would not take."""
    return [*_of_device(device, payload), *_of_components(payload, root, prefix)]


def _of_device(device: str, payload: Mapping[str, Any]) -> Iterator[str]:
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", device):
        yield f"{device}: cannot stand in a discovery topic"
    if unknown := set(payload) - ROOT_KEYS:
        yield f"{device}: {unknown} at the root rejects all of it"
    if not payload["device"].get("identifiers") or not payload["device"].get("name"):
        yield f"{device}: needs identifiers and a name"
    if unknown := set(payload["device"]) - DEVICE_KEYS:
        yield f"{device}: {unknown} in its device"
    if not payload["origin"].get("name"):
        yield f"{device}: its origin has no name"
    triggers = [(c["type"], c["subtype"]) for c in payload["components"].values() if "type" in c]
    if len(triggers) != len(set(triggers)):
        yield f"{device}: two triggers are called the same"


def _of_components(payload: Mapping[str, Any], root: str, prefix: str) -> Iterator[str]:
    for key, component in payload["components"].items():
        for mistake in (
            *_of_keys(component),
            *_of_names(component),
            *_of_kind(component),
            *_of_topics(component, root, prefix),
            *_of_templates(component),
        ):
            yield f"{key}: {mistake}"


def _of_keys(component: Mapping[str, Any]) -> Iterator[str]:
    platform = component["platform"]
    if platform not in OWN:
        yield f"the platform {platform} rejects the whole device"
        return
    needed, allowed = OWN[platform]
    common = set() if platform == "device_automation" else COMMON
    if missing := needed - set(component):
        yield f"lacks {missing}"
    if unknown := set(component) - needed - allowed - common:
        yield f"{unknown} would be dropped in silence"
    if common and not component.get("unique_id"):
        yield "no unique_id rejects the whole device"
    if "availability_topic" in component:
        yield "availability is a list here"


def _of_names(component: Mapping[str, Any]) -> Iterator[str]:
    if component["platform"] == "device_automation":
        return
    if not re.fullmatch(rf"{component['platform']}\.[a-z0-9_]+", component["default_entity_id"]):
        yield "default_entity_id needs its domain and a slug"
    if f"{component['platform']}.{component['object_id']}" != component["default_entity_id"]:
        yield "older versions would call it something else"
    if not component["name"]:
        yield "it has no name"


def _of_kind(component: Mapping[str, Any]) -> Iterator[str]:
    platform, kind = component["platform"], component.get("device_class")
    if kind is not None and kind not in DEVICE_CLASSES[platform]:
        yield f"the device_class {kind} is not known"
    if kind in UNITS and component.get("unit_of_measurement") not in UNITS[kind]:
        yield f"{kind} needs one of {UNITS[kind]}"
    if kind == "timestamp" and {"state_class", "unit_of_measurement"} & set(component):
        yield "a timestamp is no number"
    if component.get("entity_category") == "config" and "sensor" in platform:
        yield "entity_category config is not for sensors"
    if platform == "image" and ("image_topic" in component) == ("url_topic" in component):
        yield "exactly one of image_topic and url_topic"
    if platform == "number" and not component["min"] <= component["max"]:
        yield "min is above max"
    if "command_topic" in component and component.get("retain") is not False:
        yield "a retained command would be obeyed again"
    for name in ("payload_on", "payload_off", "payload", "payload_press"):
        if not isinstance(component.get(name, ""), str):
            yield f"{name} must be text"


def _of_topics(component: Mapping[str, Any], root: str, prefix: str) -> Iterator[str]:
    granted = {(rule.may, rule.filter) for rule in rules("homeassistant", root, prefix)}
    given = {k: v for k, v in component.items() if k == "topic" or k.endswith("_topic")}
    waits = [each["topic"] for each in component.get("availability", [])]
    for name, path in [*given.items(), *(("availability", path) for path in waits)]:
        known = topics.which(root, path)
        if known is None or SAID_BY_NOBODY.search(path):
            yield f"{name} {path} is none of our topics"
            continue
        topic, _ = known
        if ("write" if name == "command_topic" else "read", topic.filter(root)) not in granted:
            yield f"Home Assistant's user may not use {path}"
        if name == "state_topic" and "expire_after" in component and topic.retain:
            yield "a retained message would never grow old"
        if component["platform"] in ("event", "device_automation") and topic.retain:
            yield "fires again at every start"
        if name == "availability" and topic.message is not topics.OnlineOffline:
            yield f"{path} does not say online and offline"
    if waits and component.get("availability_mode") != "all":
        yield "one that is online would be enough"


def _of_templates(component: Mapping[str, Any]) -> Iterator[str]:
    for name in ("value_template", "json_attributes_template"):
        try:
            jinja2.Environment(autoescape=True).parse(component.get(name, ""))
        except jinja2.TemplateSyntaxError as error:
            yield f"{name}: {error}"
