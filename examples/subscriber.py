"""Acts once on every alert, whatever is restarted in between. Needs `pip install paho-mqtt`.

The broker keeps what comes while we are away (a name of our own, `siren`, and no clean session). A
killed broker has forgotten that, so we also ask for a replay, whenever we hear that the classifier
is online: we hear it at every connect, and when it is back. Doubles are known by (id, sequence).
MQTT_HOST and MQTT_PORT say where the broker is. If it wants a login or TLS, add before connecting:
`mqtt.username_pw_set("consumer", environ["MQTT_PASSWORD"])`, `mqtt.tls_set("ca.crt")`.
"""

import dbm.dumb
import json
from os import environ

from paho.mqtt import client, enums


def on_connect(*_: object) -> None:
    """Subscribe each time: the broker may have lost its sessions."""
    for topic in ("alerts/#", "replayed/siren", "status/classifier"):
        mqtt.subscribe(f"secondlook/{topic}", qos=1)


def on_message(_client: object, _userdata: object, message: client.MQTTMessage) -> None:
    """Take the classifier's status, an alert, live or replayed, or the end of a replay."""
    if message.payload == b"online":  # ask for all that it still has
        mqtt.publish("secondlook/replay", '{"since": "2000-01-01T00:00:00Z", "client": "siren"}', 1)
    elif b'"sequence"' in message.payload:
        alert = json.loads(message.payload)
        if (key := f"{alert['id']} {alert['sequence']}") not in done:
            print(alert["event"], alert["camera"], alert["label"], alert["id"], flush=True)  # act
            done[key] = ""  # what fails above ends the program; started again, it gets this again


mqtt = client.Client(enums.CallbackAPIVersion.VERSION2, "siren", clean_session=False)
mqtt.on_connect, mqtt.on_message = on_connect, on_message
with dbm.dumb.open("siren.done") as done:  # a dictionary on disk
    mqtt.connect_async(environ.get("MQTT_HOST", "localhost"), int(environ.get("MQTT_PORT", "1883")))
    mqtt.loop_forever(retry_first_connection=True)
