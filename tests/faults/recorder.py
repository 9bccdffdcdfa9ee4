"""An independent subscriber in a process of its own: a session that the broker keeps, QoS 1, every result written to a file as it comes.

It acknowledges a message after the line is written (paho does so when the callback returns). Arguments: port, certificate authority,
password, file, name of the client.
"""

import json
import signal
import sys
import threading
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def main(port: int, ca_file: str, password: str, path: Path, name: str) -> None:
    """Record until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    session.SessionExpiryInterval = 86_400
    client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
    client.username_pw_set("recorder", password)
    client.tls_set(ca_file)
    client.reconnect_delay_set(1, 1)
    with path.open("ab", buffering=0) as record:

        def write(_client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
            body = json.loads(message.payload)
            line = {"publisher": message.topic.split("/")[-2], "seq": body["seq"], "inspection_id": body["inspection_id"]}
            record.write(json.dumps(line).encode() + b"\n")

        client.on_message = write
        client.on_connect = lambda client, *_: client.subscribe("inspector/v1/+/+/+/+/result", qos=1)
        client.on_subscribe = lambda *_: path.with_suffix(".ready").touch()
        client.connect_async("127.0.0.1", port, keepalive=10, clean_start=False, properties=session)
        client.loop_start()
        stop.wait()
        client.disconnect()
        client.loop_stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]), sys.argv[5])
