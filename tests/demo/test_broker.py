"""The demo's broker: mosquitto where it is installed, amqtt elsewhere; both carry messages."""

import shutil
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from inspector.demo.broker import Broker, running_broker
from inspector.demo.subscriber import Subscriber
from inspector.errors import PublishError

HAS_MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is not None


def publish(broker: Broker, *bodies: str) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for body in bodies:
        client.publish("lab/v1/site/area/line/s1/result", body, qos=1).wait_for_publish(10)
    client.publish("lab/v1/site/area/line/s1/status", '{"state": "running"}', qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


@pytest.mark.parametrize("embedded", [pytest.param(False, marks=pytest.mark.skipif(not HAS_MOSQUITTO, reason="no mosquitto")), True])
def test_what_is_published_arrives_and_a_double_is_dropped(tmp_path: Path, *, embedded: bool) -> None:
    with running_broker(tmp_path, embedded=embedded) as broker:
        seen: list[str] = []
        subscriber = Subscriber(broker.port, "lab/v1", lambda arrival: seen.append(arrival.result["inspection_id"]))
        publish(broker, '{"inspection_id": "a"}', '{"inspection_id": "b"}', '{"inspection_id": "a"}')
        subscriber.wait_for(2, 10)
        subscriber.close()
    assert broker.name == ("amqtt" if embedded else "mosquitto")
    assert seen == ["a", "b"]


@pytest.mark.skipif(not HAS_MOSQUITTO, reason="no mosquitto")
def test_a_broker_starts_in_a_folder_that_is_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("work").mkdir()
    with running_broker(Path("work")) as broker:
        assert broker.name == "mosquitto"


def test_a_broker_that_cannot_start_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.demo.broker._AMQTT", "raise SystemExit('no such module for port {port}')")
    with pytest.raises(PublishError, match="no such module for port"), running_broker(tmp_path, embedded=True):
        pass
