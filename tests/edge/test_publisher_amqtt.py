"""The publisher against a broker that speaks MQTT 3.1.1 alone: amqtt, embedded, as the demo uses it where mosquitto is absent."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from inspector.core.inspection import Inspection
from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.publisher import Publisher
from inspector.edge.topics import Topics
from inspector.settings import MqttSection

pytest.importorskip("amqtt.broker", reason="amqtt is not installed: pip install qc-inspector[demo]")

BROKER = """
import asyncio, sys
from amqtt.broker import Broker

async def serve():
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:" + sys.argv[1]}}, "plugins": anonymous})
    await broker.start()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""


@pytest.fixture
def old_broker_port() -> Iterator[int]:
    """Run amqtt in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-W", "ignore", "-c", BROKER, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as broker:
        assert broker.stdout is not None
        assert broker.stdout.readline() == "ready\n"
        yield port
        broker.kill()


@pytest.fixture
def heard(old_broker_port: int) -> Iterator[list[paho.MQTTMessage]]:
    messages: list[paho.MQTTMessage] = []
    ready = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, "old-display", protocol=paho.MQTTv311)
    client.on_connect = lambda client, *_: client.subscribe("inspector/v1/#", qos=1)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda _client, _userdata, message: messages.append(message)
    client.connect("127.0.0.1", old_broker_port)
    client.loop_start()
    assert ready.wait(10)
    yield messages
    client.disconnect()
    client.loop_stop()


def test_a_broker_without_mqtt_5_gets_the_same_results_without_the_properties(
    tmp_path: Path, topics: Topics, make_inspection: Callable[..., Inspection], old_broker_port: int, heard: list[paho.MQTTMessage]
) -> None:
    publisher = Publisher(MqttSection(port=old_broker_port), topics, tmp_path / "log.db", {"model": "m"})
    publisher.start()
    with Log(tmp_path / "log.db", "cell-3") as log:
        for number in range(25):
            log.append(make_inspection(number), lambda inspection: result_message(inspection, topics))
            publisher.wake()
    assert publisher.drain(15)
    publisher.stop("done")
    results = [json.loads(message.payload) for message in heard if message.topic.endswith("/result")]
    assert [result["seq"] for result in results] == list(range(1, 26))
    states = [json.loads(message.payload)["state"] for message in heard if message.topic.endswith("/status")]
    assert states[-1] == "stopped"
