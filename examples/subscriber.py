"""Acts once on every alert, whatever is restarted in between: `subscriber.py [HOST [PORT]]`.

Needs `pip install paho-mqtt`. Three rules make it complete: the broker keeps what comes while we
are away (a fixed client id, no clean session); we ask for a replay when we hear that the classifier
is online, as at every connect, and again until its end has come; what has been acted on is
remembered by (id, sequence). With TLS: `client.tls_set("ca.crt")`.
"""

import json
import os
import pathlib
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

ROOT, NAME = "secondlook", os.environ.get("NAME", "my-subscriber")
DONE = pathlib.Path(f"{NAME}.done")  # a minute before the first start; then what was acted on
if not DONE.exists():
    DONE.write_text(f"{datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}\n")
began, *done = DONE.read_text().splitlines()
unanswered = threading.Event()  # a replay is wanted, or its end has not come yet


def act(alert: dict[str, Any]) -> None:
    """Do what you like here. A `new` begins an episode; `update` and `end` are of a known one."""
    print(alert["event"], alert["camera"], alert["label"], alert["score"], alert["id"], flush=True)


def keep_asking() -> None:
    """Ask for what the classifier still has; what we know of it does no harm."""
    while unanswered.wait():
        client.publish(f"{ROOT}/replay", json.dumps({"since": began, "client": NAME}))
        time.sleep(10)


def on_connect(*_: object) -> None:
    """Subscribe, each time: the broker may have lost its sessions."""
    for topic in ("alerts/#", f"replayed/{NAME}", "status/classifier"):
        client.subscribe(f"{ROOT}/{topic}", qos=1)


def on_message(_client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
    """Take the classifier's status, the end of a replay, or an alert, live or replayed."""
    if message.topic == f"{ROOT}/status/classifier":
        return unanswered.set() if message.payload == b"online" else None
    said = json.loads(message.payload)
    if "end" in said:
        return unanswered.clear()
    if (key := f"{said['id']} {said['sequence']}") not in done:
        act(said)  # what fails ends the program; started again, it gets this alert again
        done.append(key)
        with DONE.open("a") as file:
            file.write(f"{key}\n")
    return None


client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=NAME, clean_session=False)
client.username_pw_set(os.environ.get("MQTT_USER"), os.environ.get("MQTT_PASSWORD"))
client.on_connect, client.on_message = on_connect, on_message
host, port = (*sys.argv[1:], *("127.0.0.1", "1883")[len(sys.argv) - 1 :])
threading.Thread(target=keep_asking, daemon=True).start()
client.connect_async(host, int(port))
client.loop_forever(retry_first_connection=True)
