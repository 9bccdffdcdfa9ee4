"""The publisher: a thread that carries the outbox to the broker and tells the station's state.

Start it before or after the broker: without one it tries again, the outbox grows, nothing is lost and nobody waits. The
thread outlives every fault; ``error`` tells the present one, and its begin and end stand in the log's ``events``.
"""

import json
import random
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from inspector import __version__
from inspector.edge.access import read_access
from inspector.edge.connection import Connection
from inspector.edge.delivery import Delivery, Memory
from inspector.edge.flight import Flight
from inspector.edge.handshake import Handshake
from inspector.edge.instants import now
from inspector.edge.lock import StationLock
from inspector.edge.log import Log
from inspector.edge.outbox import Message
from inspector.edge.payload import State, StatusPayload
from inspector.edge.sqlite_errors import as_log_error
from inspector.edge.topics import Topics
from inspector.edge.waker import Waker
from inspector.settings import MqttSection

_LOOKUP_S = 300.0
"""How long name servers that do not answer may hold up a connection; nothing can end that wait, and no verdict waits for it."""


class Publisher:
    """Publishes one station's outbox and status. All methods may be called from any thread."""

    def __init__(
        self,
        mqtt: MqttSection,
        topics: Topics,
        database: Path,
        birth: Mapping[str, Any],
        *,
        base: Path = Path(),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Read password and keys, whose relative paths are taken from ``base``. Raises ``PublishError`` if they cannot be used.

        ``birth`` describes the station in the retained message on topic ``info``: it must be fit for JSON.
        """
        self._mqtt, self._topics, self._database = mqtt, topics, database
        self._access = read_access(mqtt, base, environ)
        self._info = {"schema": "inspector.info/1", "station": topics.station, "version": __version__, **birth}
        self._boot_id = str(uuid.uuid4())
        self._state: tuple[State, str, datetime] = ("starting", "", now())
        self._in_view: tuple[str | None, str | None] = (None, None)
        self._is_state_told = False
        self._memory = Memory()
        self._lock = StationLock(database)
        self._waker = Waker()
        self._leaving = threading.Event()
        self._hurry = threading.Event()
        self._changed = threading.Condition()
        self._error: str | None = None
        self._is_connected = False
        self._failures = 0
        self._in_a_row = 0
        self._accepted_s = time.monotonic()
        self._heartbeat_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Start the thread; it connects by itself, as often as it must. Raises ``LogError`` if the station has a publisher already."""
        self._lock.acquire()
        self._thread.start()

    def wake(self) -> None:
        """Tell the thread that the outbox has a new row or the state has changed. Never waits."""
        self._waker.wake()

    def status(self, state: State, reason: str = "") -> None:
        """Set the state that the retained status message tells."""
        if (state, reason) != self._state[:2]:
            self._state = (state, reason, now())
            self._is_state_told = False
            self.wake()

    def show(self, product: str | None, lot: str | None) -> None:
        """Set the product and the lot in view that the status message tells."""
        if (product, lot) != self._in_view:
            self._in_view = (product, lot)
            self._is_state_told = False
            self.wake()

    def drain(self, timeout_s: float) -> bool:
        """Wait until the outbox is empty. Return False after ``timeout_s``, or at once when the broker cannot be reached."""
        deadline, failures = time.monotonic() + timeout_s, self._failures
        self._hurry.set()
        self.wake()
        with self._changed:
            while self.depth > 0:
                rest = deadline - time.monotonic()
                if rest <= 0 or not self._thread.is_alive() or self._failures > failures:
                    return False
                self._changed.wait(min(rest, 1.0))
        return True

    def stop(self, reason: str = "") -> None:
        """Tell the broker that the station stops, disconnect and end the thread. Takes at most about 8 s. Unsent rows stay."""
        self._state = ("stopped", reason, now())
        self._leaving.set()
        self._hurry.set()
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(8.0)
        if not self._thread.is_alive():
            self._waker.close()
            self._lock.release()

    @property
    def connected(self) -> bool:
        """True while the broker has accepted the connection."""
        return self._is_connected

    @property
    def state(self) -> Literal["connecting", "connected", "offline", "stopped"]:
        """How the connection stands: ``offline`` after a failed try or a lost connection, until the next success."""
        if self._is_connected:
            return "connected"
        if self._thread.ident is not None and not self._thread.is_alive():
            return "stopped"
        return "offline" if self._error is not None else "connecting"

    @property
    def error(self) -> str | None:
        """The present fault, or None."""
        return self._error

    @property
    def depth(self) -> int:
        """How many messages wait in the outbox. Raises ``LogError``."""
        with Log(self._database, self._topics.station) as log, as_log_error(self._database, "read the outbox"):
            return log.outbox.depth()

    @property
    def alive(self) -> bool:
        """True while the thread works; False if it has ended or has hung: for a minute, or five while it looks for the broker."""
        patience_s = 60.0 if self._is_connected else _LOOKUP_S
        return self._thread.is_alive() and time.monotonic() - self._heartbeat_s < patience_s

    def _run(self) -> None:
        """Serve connections until told to leave."""
        while not self._leaving.is_set():
            self._hurry.clear()
            try:
                with Log(self._database, self._topics.station) as log:
                    self._serve(log)
            except Exception as error:  # noqa: BLE001 - whatever happens, the thread must go on carrying messages
                self._fault(error)
                self._wait_before_retry()
        self._announce()

    def _serve(self, log: Log) -> None:
        """Connect, deliver until told to leave, say goodbye. Any fault ends the connection."""
        connection = None
        try:
            connection = self._connect()
            self._accepted(log)
            delivery = Delivery(connection, log, Flight(self._mqtt.window, self._mqtt.ack_timeout_s), self._memory, self._topics)
            delivery.send(Message(self._topics.info, json.dumps(self._info, ensure_ascii=False).encode(), retain=True), time.monotonic())
            self._is_state_told = False
            while not self._leaving.is_set():
                self._tell_state(delivery, log)
                delivery.send_due(time.monotonic())
                self._turn(connection, delivery)
            self._say_goodbye(connection, delivery, log)
            connection.close()
        except BaseException as error:
            if connection is not None:
                connection.abandon()
            if not self._leaving.is_set():
                self._note_loss(log, error)
            raise
        finally:
            self._is_connected = False

    def _connect(self) -> Connection:
        """Return an accepted connection."""
        client_id = f"inspector-{self._topics.place.replace('/', '-')}"
        will = self._status_message("offline", "connection lost", None, None, None)
        wait = partial(self._turn, delivery=None)
        return Handshake(self._mqtt, client_id, self._access, will, wait, self._leaving.is_set).connect()

    def _turn(self, connection: Connection, delivery: Delivery | None) -> None:
        """Wait for the broker or a wake-up, at most a second, and take the answers."""
        self._heartbeat_s = time.monotonic()
        connection.turn(self._waker.reader, min(1.0, self._mqtt.ack_timeout_s / 4))
        if delivery is not None and delivery.take_answers(time.monotonic()):
            self._announce()

    def _tell_state(self, delivery: Delivery, log: Log) -> int | None:
        """Publish the state if it has changed; return the message id."""
        if self._is_state_told:
            return None
        self._is_state_told = True  # before the state is read: a change in between is told again
        state, reason, since = self._state
        with as_log_error(log.path, "read the outbox"):
            waiting = log.outbox.depth()
        return delivery.send(self._status_message(state, reason, since, log.last_seq(), waiting), time.monotonic())

    def _status_message(self, state: State, reason: str, since: datetime | None, seq: int | None, waiting: int | None) -> Message:
        """Return the retained message that tells a state."""
        payload = StatusPayload(
            station=self._topics.station,
            state=state,
            reason=reason,
            since=since,
            version=__version__,
            boot_id=self._boot_id,
            seq=seq,
            waiting=waiting,
            product=None if state == "offline" else self._in_view[0],
            lot=None if state == "offline" else self._in_view[1],
        )
        return Message(self._topics.status, payload.to_json(), retain=True)

    def _say_goodbye(self, connection: Connection, delivery: Delivery, log: Log) -> None:
        """Publish ``stopped`` and wait for its acknowledgement, 2 s at most: a clean disconnect suppresses the last will."""
        self._is_state_told = False
        mid, deadline = self._tell_state(delivery, log), time.monotonic() + 2.0
        while mid is not None and not delivery.is_answered(mid) and time.monotonic() < deadline:
            self._turn(connection, delivery)

    def _accepted(self, log: Log) -> None:
        """Note that the broker is there."""
        if self._error is not None:
            log.event("broker-back", f"connected to {self._mqtt.host}:{self._mqtt.port}")
        self._is_connected, self._error, self._accepted_s = True, None, time.monotonic()
        self._announce()

    def _note_loss(self, log: Log, error: BaseException) -> None:
        """Log the begin of a fault, not each failed try after it."""
        if self._error is None:
            log.event("broker-lost", str(error))

    def _fault(self, error: Exception) -> None:
        """Note the present fault."""
        # Two stations with one name throw each other out: a connection that did not last is no success.
        lasted = self._error is None and time.monotonic() - self._accepted_s > 10.0
        self._in_a_row = 1 if lasted else self._in_a_row + 1
        self._error = str(error) or type(error).__name__
        self._failures += 1
        self._announce()

    def _wait_before_retry(self) -> None:
        """Wait 0.5 s, 1 s, 2 s ... 30 s, less up to half at random, so that a line's stations do not all come back at once."""
        wait = min(30.0, 0.5 * 2 ** min(self._in_a_row - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        deadline = time.monotonic() + wait
        while not self._hurry.is_set() and (rest := deadline - time.monotonic()) > 0:
            self._heartbeat_s = time.monotonic()
            self._hurry.wait(min(rest, 1.0))

    def _announce(self) -> None:
        """Wake whoever waits in ``drain``."""
        with self._changed:
            self._changed.notify_all()
