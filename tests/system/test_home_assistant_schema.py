"""The discovery payloads of many configurations, by the rules of Home Assistant's own code."""

import json
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings

from classifier_svc.homeassistant import devices
from secondlook.config import Config
from tests.classifier_svc.test_homeassistant import configs
from tests.system.home_assistant.install import CannotInstall, install

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(600)]

CONFIGS = 150
# Runs in Home Assistant's Python. It reads a payload in each line and writes what is wrong with it;
# what a platform does not know it drops without a word, so what comes back is compared.
CHECKER = """
import asyncio, importlib, json, sys, tempfile
from homeassistant.components.mqtt import device_trigger, discovery, schemas
from homeassistant.core import HomeAssistant

def schema_of(platform):
    if platform == "device_automation":
        return device_trigger.TRIGGER_DISCOVERY_SCHEMA
    return importlib.import_module(f"homeassistant.components.mqtt.{platform}").DISCOVERY_SCHEMA

def mistakes(payload):
    try:
        taken = schemas.DEVICE_DISCOVERY_SCHEMA(json.loads(payload))
        schemas.validate_device_discovery_components(taken)
    except Exception as error:
        yield f"the whole payload: {error}"
        return
    whole = json.loads(payload)
    for key, component in whole["components"].items():
        platform = component.pop("platform")
        config = discovery.MQTTDiscoveryPayload(component)
        discovery._merge_common_device_options(config, whole)
        config |= {"device": whole["device"], "origin": whole["origin"]}
        if platform == "device_automation":
            config |= {"platform": "mqtt"}
        try:
            kept = schema_of(platform)(dict(config))
        except Exception as error:
            yield f"{key}: {error}"
        else:
            dropped = component.keys() - kept.keys() - {"object_id", "qos"}
            if dropped:
                yield f"{key}: {sorted(dropped)} dropped"

async def main():
    HomeAssistant(tempfile.gettempdir())  # templates are checked in its event loop
    for line in sys.stdin:
        print(json.dumps([*mistakes(line)]))

asyncio.run(main())
"""


def payloads() -> list[str]:
    """Return the payloads of many configurations, one line each."""
    found: dict[str, None] = {}

    @settings(
        max_examples=CONFIGS,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(configs())
    def collect(config: Config) -> None:
        found.update(dict.fromkeys(json.dumps(each) for each in devices(config, "1.2.3").values()))

    collect()
    return [*found]


def checked(lines: list[str]) -> list[list[str]]:
    try:
        installed = install()
    except CannotInstall as error:
        pytest.skip(str(error))
    argv = installed.command(f"{installed.venv}/bin/python", "-c", CHECKER)
    done = subprocess.run(
        argv, input="\n".join(lines), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_home_assistants_own_schemas_take_every_configuration() -> None:
    lines = payloads()

    answers = checked(lines)

    assert len(answers) == len(lines) > CONFIGS
    assert [each for answer in answers for each in answer] == []


def test_home_assistants_own_schemas_would_find_a_mistake() -> None:
    config = Config.model_validate({"cameras": {"yard": {"source": "synthetic:"}}})
    good = devices(config, "1")["secondlook-yard"]
    wrong = json.loads(json.dumps(good))
    wrong["components"]["binary_sensor-alert-small_gun"]["device_class"] = "gun"
    unknown = json.loads(json.dumps(good))
    unknown["components"]["image-picture"]["colour"] = "red"
    nameless = json.loads(json.dumps(good))
    del nameless["components"]["switch-armed"]["unique_id"]

    answers = checked([json.dumps(each) for each in (good, wrong, unknown, nameless)])

    assert [len(each) for each in answers] == [0, 1, 1, 1]
