"""Acts once on every alert, whatever is restarted in between: `subscriber.py [HOST [PORT]]`.

Needs `pip install paho-mqtt`. Three rules make it complete: the broker keeps what comes while we
are away (a fixed client id, no clean session); we ask for a replay when we connect and whenever
the classifier turns online; what has been acted on is remembered by (id, sequence).
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
SEEN = pathlib.Path(f"{NAME}.seen")  # one line for each message that was acted on
seen = set(SEEN.read_text().splitlines()) if SEEN.exists() else set()
since = datetime.fromtimestamp(SEEN.stat().st_mtime if seen else time.time(), UTC)
asked = False  # for a replay whose end has not come yet


def act(alert: dict[str, Any]) -> None:
    """Do what you like here. A `new` begins an episode; `update` and `end` are of a known one."""
    print(alert["event"], alert["camera"], alert["label"], alert["score"], alert["id"], flush=True)


def ask() -> None:
    """Ask for what was said since the last alert; a minute more does no harm."""
    global asked  # noqa: PLW0603 - so few lines are not worth a class
    asked = True
    wanted = {"since": (since - timedelta(minutes=1)).isoformat(), "client": NAME}
    client.publish(f"{ROOT}/replay", json.dumps(wanted), qos=1)


def ask_again() -> None:
    """Insist until the end of the replay has come."""
    while True:
        time.sleep(10)
        if asked:
            ask()


def on_connect(*_: object) -> None:
    """Subscribe, each time: the broker may have lost its sessions."""
    topics = ("alerts/#", f"replayed/{NAME}", "status/classifier")
    client.subscribe([(f"{ROOT}/{topic}", 1) for topic in topics])
    ask()


def on_message(_client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
    """Take an alert, live or replayed, the end of a replay, or the classifier's status."""
    global asked, since  # noqa: PLW0603 - as above
    if message.topic == f"{ROOT}/status/classifier":
        return ask() if message.payload == b"online" else None
    said = json.loads(message.payload)
    if "end" in said:
        asked = False
    elif (key := f"{said['id']} {said['sequence']}") not in seen:
        act(said)  # what fails ends the program; started again, it gets this alert again
        seen.add(key)
        since = max(since, datetime.fromisoformat(said["updated_at"]))
        with SEEN.open("a") as file:
            file.write(f"{key}\n")
    return None


client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=NAME, clean_session=False)
client.username_pw_set(os.environ.get("MQTT_USER"), os.environ.get("MQTT_PASSWORD"))
# With TLS: client.tls_set("ca.crt")
client.on_connect, client.on_message = on_connect, on_message
host, port = (*sys.argv[1:], *("127.0.0.1", "1883")[len(sys.argv) - 1 :])
client.connect_async(host, int(port))
threading.Thread(target=ask_again, daemon=True).start()
client.loop_forever(retry_first_connection=True)
