"""The link: a second MQTT connection, with a thread of its own, for all that is not a result.

Commands come in here, answers, replays and optional outputs go out. The publisher shares neither connection nor thread with it, so
that a flood of commands, a slow picture or a faulty output can hold up neither a result nor its acknowledgement. Commands are received
with QoS 0: one that is sent while the station is away is lost, and never carried out late or twice; whoever gets no answer asks again.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

from inspector.core.frame import Frame
from inspector.core.inspection import Inspection
from inspector.edge.access import read_access
from inspector.edge.commands.bucket import Bucket
from inspector.edge.commands.desk import Desk
from inspector.edge.commands.doorman import Asker, Request
from inspector.edge.commands.payload import Outcome
from inspector.edge.connection import Connection
from inspector.edge.extras.showcase import Metrics, Showcase
from inspector.edge.flight import Flight
from inspector.edge.handshake import Handshake
from inspector.edge.log import Log
from inspector.edge.newest import Newest, Shown
from inspector.edge.outbox import Message
from inspector.edge.topics import Topics
from inspector.edge.waker import Waker
from inspector.errors import PublishError
from inspector.settings import CommandsSection, ExtrasSection, MqttSection

_READS_A_SECOND = 200.0
"""Messages that are read from the broker in the long run; when more come, they wait there, or are dropped there."""
_BREATH_S = 0.005
"""Pause in reading when more come."""
_UNDER_WAY = 64
"""Messages with QoS 1 under way at most."""


@dataclass(frozen=True, slots=True)
class LinkRules:
    """What the link needs of the settings."""

    mqtt: MqttSection
    """The broker."""
    commands: CommandsSection
    """Which commands are let in."""
    extras: ExtrasSection
    """Which outputs are wanted."""
    metrics: Metrics = field(default_factory=Metrics)
    """Figures that go out every so often, if they are wanted."""

    @property
    def is_needed(self) -> bool:
        """True if there is anything for a link to do."""
        return self.mqtt.enabled and (bool(self.commands.allow) or self.extras.is_on or self.metrics.every_s > 0)


class Link:
    """Commands and optional outputs of one station. All methods may be called from any thread."""

    def __init__(
        self,
        rules: LinkRules,
        topics: Topics,
        database: Path,
        *,
        message: Callable[[Inspection], Message],
        tell: Callable[[str, str], None],
        nudge: Callable[[], None],
        base: Path = Path(),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Read password and keys. Raises ``PublishError`` if they cannot be used.

        ``message`` makes the message about an inspection; ``tell`` takes kind and detail of an event, ``nudge`` hears that a command waits
        for the frame loop: neither may wait.
        """
        commands, extras = rules.commands, rules.extras
        self._mqtt, self._commands, self._topics, self._database, self._tell = rules.mqtt, commands, topics, database, tell
        self._access = read_access(rules.mqtt, base, environ)
        self._newest = Newest()
        # Pictures are held for snapshots alone; a frame may take many megabytes.
        self._holds_newest = "snapshot" in commands.allow
        self._showcase = Showcase(extras, commands, topics, message, tell, rules.metrics)
        self._desk = Desk(
            commands,
            topics,
            self._newest,
            database.parent,
            message=message,
            tell=tell,
            nudge=nudge,
            image_max_bytes=extras.image_max_bytes,
        )
        self._reads = Bucket(_READS_A_SECOND, _READS_A_SECOND)
        self._waker = Waker()
        self._leaving = threading.Event()
        self._error: str | None = None
        self._unheard: str | None = None
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def start(self) -> None:
        """Start the thread; it connects by itself, as often as it must."""
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, say goodbye and end the thread; takes at most about 5 s."""
        self._leaving.set()
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(5.0)
        if not self._thread.is_alive():
            self._waker.close()

    def wake(self) -> None:
        """Tell the thread that there is something to send. Never waits."""
        self._waker.wake()

    def offer(self, frame: Frame, inspection: Inspection) -> None:
        """Show what was logged to optional outputs and snapshots. Never waits."""
        shown = Shown(frame, inspection)
        if self._holds_newest:
            self._newest.put(shown)
        if self._showcase.offer(shown):
            self.wake()

    def requests(self, most: int) -> Iterator[Request]:
        """Yield at most so many commands that the frame loop is to carry out."""
        for _ in range(most):
            try:
                yield self._desk.requests.get_nowait()
            except Empty:
                return

    def answer(
        self, asker: Asker, outcome: Outcome, reason: str = "", mistakes: Sequence[str] = (), result: Mapping[str, Any] | None = None
    ) -> None:
        """Answer a command; ``result`` must be fit for JSON. Never waits."""
        self._desk.answer(asker, outcome, reason, mistakes, result)
        self.wake()

    @property
    def error(self) -> str | None:
        """The present fault, or None."""
        return self._error

    def _run(self) -> None:
        """Serve connections until told to leave."""
        while not self._leaving.is_set():
            try:
                with Log(self._database, self._topics.station) as log:
                    self._serve(log)
            except Exception as error:  # noqa: BLE001 - whatever happens, the thread must go on; results do not depend on it
                self._error = str(error) or type(error).__name__
                self._failures += 1
                # Less up to half at random: not all stations of a line come back at once.
                self._leaving.wait(min(30.0, 0.5 * 2 ** min(self._failures - 1, 6)) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    def _serve(self, log: Log) -> None:
        """Connect and serve until told to leave. Any fault ends the connection."""
        connection = self._connect()
        flight = Flight(min(_UNDER_WAY, connection.receive_maximum), self._mqtt.ack_timeout_s)
        try:
            self._begin(connection, flight)
            while not self._leaving.is_set():
                self._work(connection, flight, log)
            self._say_goodbye(connection, flight)
            connection.close()
        except BaseException:
            connection.abandon()
            raise

    def _connect(self) -> Connection:
        """Return an accepted connection. The broker remembers nothing of it: no command waits for a station that is away."""
        client_id = f"inspector-{self._topics.place.replace('/', '-')}-link"
        wait = partial(self._turn, timeout_s=1.0)
        is_leaving = self._leaving.is_set
        return Handshake(self._mqtt, client_id, self._access, self._showcase.will(), wait, is_leaving, session_s=0).connect()

    def _begin(self, connection: Connection, flight: Flight) -> None:
        """Subscribe, and tell what is told at each connection."""
        self._error, self._failures = None, 0
        self._desk.begin_again()
        if self._commands.allow:
            connection.subscribe(self._topics.command("+"), 0)
        for topic, qos in self._showcase.topics:
            connection.subscribe(topic, qos)
        for message, qos in self._showcase.births():
            self._send(connection, flight, message, qos)

    def _work(self, connection: Connection, flight: Flight, log: Log) -> None:
        """Do once what is due."""
        self._take_in(connection, log)
        self._answers(connection, flight)
        send = partial(self._send, connection, flight)
        self._desk.step(log, send, flight.window - len(flight.sent_at))
        self._desk.send_answers(send, flight.window - len(flight.sent_at))
        if connection.is_clear:  # a slow network gets no pictures: they would delay the answers
            for message, qos in self._showcase.due():
                send(message, qos)
        self._turn(connection, 0.1 if self._desk.is_replaying else 1.0)

    def _take_in(self, connection: Connection, log: Log) -> None:
        """Look at what came in, and read no more for a moment if it is too much."""
        self._tell_subscription(connection)
        is_too_much = False
        while connection.inbox:
            message = connection.inbox.popleft()
            if not self._showcase.take_in(message):
                self._desk.take_in(message, log)
            is_too_much |= not self._reads.take(time.monotonic())
        if is_too_much:
            self._leaving.wait(_BREATH_S)

    def _answers(self, connection: Connection, flight: Flight) -> None:
        """Take the broker's answers. Raises ``PublishError`` if it is silent."""
        while connection.answers:
            mid, refusal = connection.answers.popleft()
            flight.answered(mid)
            self._desk.acknowledged(mid, refusal)
        if flight.is_overdue(time.monotonic()):
            raise PublishError(f"no acknowledgement within mqtt.ack_timeout_s = {self._mqtt.ack_timeout_s:g} s")

    def _send(self, connection: Connection, flight: Flight, message: Message, qos: int = 1) -> int:
        """Send a message that the broker can take; a longer one is left out."""
        if len(message.payload) + 2048 > connection.max_packet_bytes:
            self._tell("output-lost", f"{message.topic}: {len(message.payload)} bytes are more than the broker takes; left out")
            return 0
        mid = connection.send(message, qos)
        if qos:
            flight.sent(mid, time.monotonic())
        return mid

    def _turn(self, connection: Connection, timeout_s: float) -> None:
        """Wait for the broker or a wake-up."""
        connection.turn(self._waker.reader, min(timeout_s, self._mqtt.ack_timeout_s / 4))

    def _tell_subscription(self, connection: Connection) -> None:
        """Tell once that the broker's access list lets no commands through, and once that it does again."""
        if connection.unheard != self._unheard:
            self._unheard = connection.unheard
            refused = f"{self._topics.command('+')}: {self._unheard}; allow it in the broker's access list, or set commands.allow = []"
            self._tell(*(("commands-refused", refused) if self._unheard else ("commands-accepted", "the broker lets commands through")))

    def _say_goodbye(self, connection: Connection, flight: Flight) -> None:
        """Send the last answers and deaths, and wait for their acknowledgement, 2 s at most."""
        self._desk.send_answers(partial(self._send, connection, flight), flight.window)
        for message, qos in self._showcase.deaths():
            self._send(connection, flight, message, qos)
        deadline = time.monotonic() + 2.0
        while flight.sent_at and time.monotonic() < deadline:
            self._turn(connection, 0.2)
            self._answers(connection, flight)
