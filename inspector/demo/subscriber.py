"""An independent MQTT subscriber: it knows the broker's address and the documented payload, nothing else of the daemon."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from inspector.errors import PublishError


@dataclass(frozen=True, slots=True)
class Arrival:
    """A result as a subscriber got it."""

    result: dict[str, Any]
    """The payload."""
    received_at: datetime
    """When it arrived, UTC."""


class Subscriber:
    """Collects results and status messages; drops doubled results by ``inspection_id``."""

    def __init__(self, port: int, root: str, on_result: Callable[[Arrival], None]) -> None:
        """Subscribe below ``root`` on 127.0.0.1; raises ``OSError`` or ``PublishError`` if the broker does not answer."""
        self._on_result = on_result
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self.arrivals: list[Arrival] = []
        self.states: list[str] = []
        self.doubled = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="demo-subscriber")
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe([(f"{root}/+/+/+/+/result", 1), (f"{root}/+/+/+/+/status", 1)])
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if not self._subscribed.wait(10):
            self.close()
            raise PublishError(f"the broker on 127.0.0.1:{port} did not confirm the subscription to {root} within 10 s")

    def wait_for(self, count: int, timeout_s: float) -> None:
        """Return when ``count`` results have arrived or the time is over."""
        deadline = time.monotonic() + timeout_s
        while len(self.arrivals) < count and time.monotonic() < deadline:
            time.sleep(0.05)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        payload = json.loads(message.payload)
        if message.topic.endswith("/status"):
            self.states.append(payload["state"])
            return
        with self._lock:
            if payload["inspection_id"] in self._seen:
                self.doubled += 1
                return
            self._seen.add(payload["inspection_id"])
            arrival = Arrival(payload, datetime.now(UTC))
            self.arrivals.append(arrival)
        self._on_result(arrival)
