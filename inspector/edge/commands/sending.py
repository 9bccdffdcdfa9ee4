"""Sending a command to a station over its broker and waiting for the answer: what a screen does once a person has confirmed.

One connection a command, gone when the answer is there. The station's rules hold as for everybody (docs/mqtt.md): commands.allow, the
broker's access list, at most once. No answer means that nobody knows whether it was done, and is told as that.
"""

import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from inspector.edge.access import Access, read_access, read_credential, read_password
from inspector.edge.commands.payload import ReplyPayload, command_models
from inspector.edge.connection import Connection
from inspector.edge.handshake import Handshake
from inspector.edge.incoming import Incoming
from inspector.edge.outbox import Message
from inspector.edge.topics import Topics
from inspector.edge.waker import Waker
from inspector.errors import PublishError
from inspector.settings import StationSettings, Verb

PATIENCE_S = 7.0
"""How long an answer is waited for: a trigger waits 5 s for its frame."""
_TURN_S = 0.2


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the broker takes the sender for: a role that may write commands, never the station's own."""

    username: str | None = None
    """User name at the broker; None: anonymous."""
    password: str | None = field(default=None, repr=False)
    """Password; None: none."""

    @classmethod
    def read(cls, username: str | None, file: Path | None, environ: Mapping[str, str] | None = None) -> Self:
        """Return the account whose password is in a file of mode 0600, else in the credential ``dashboard-broker-password``.

        Raises ``PublishError`` if the password cannot be read.
        """
        if username is None:
            return cls()
        if file is not None:
            return cls(username, read_password(file, "--broker-password"))
        folder = (os.environ if environ is None else environ).get("CREDENTIALS_DIRECTORY")
        credential = Path(folder) / "dashboard-broker-password" if folder else None
        return cls(username, read_credential(credential) if credential is not None and credential.exists() else None)

    def access(self, settings: StationSettings) -> Access:
        """Return what a station's broker is shown. Raises ``PublishError``."""
        if self.username is None and settings.mqtt.username is not None:
            raise PublishError(
                "the broker asks for a user: start the dashboard with --broker-user and --broker-password (docs/dashboard.md)"
            )
        nobody = settings.mqtt.model_copy(update={"username": None, "password_file": None, "cert_file": None, "key_file": None})
        return Access(self.username, self.password, read_access(nobody, settings.folder).tls)


def send_command(settings: StationSettings, account: Account, verb: Verb, payload: Mapping[str, Any], who: str) -> ReplyPayload | None:
    """Send a command in somebody's name; return the station's last answer within ``PATIENCE_S``, None if none came.

    Raises ``PublishError`` if it could not be sent: then nothing was done.
    """
    if not settings.mqtt.enabled:
        raise PublishError(f"{settings.name} has no broker (mqtt.enabled = false), so nothing can be sent to it")
    try:
        command = command_models()[verb].model_validate({**payload, "who": who})
    except ValidationError as error:
        raise PublishError(f"not a command as docs/mqtt.md says: {error.errors()[0]['msg']}") from error
    body = json.dumps(command.model_dump(exclude_unset=True)).encode()
    topics, access, token = Topics.of(settings), account.access(settings), secrets.token_hex(8)
    waker = Waker()
    handshake = Handshake(
        settings.mqtt, f"inspector-dashboard-{token}", access, None,
        turn=lambda connection: connection.turn(waker.reader, _TURN_S), is_leaving=lambda: False,
    )  # fmt: skip
    try:
        connection = handshake.connect()
        try:
            answer_on = topics.reply(f"dashboard-{token}")
            for topic in (answer_on, topics.reply(verb)):  # the second: a broker that speaks MQTT 3.1.1 carries no response topic
                connection.subscribe(topic, 1)
            connection.send(Message(topics.command(verb), body, correlation=token.encode(), response_topic=answer_on), qos=1)
            return _answer(connection, waker, answer_on, verb)
        finally:
            connection.close()
    finally:
        waker.close()


def _answer(connection: Connection, waker: Waker, answer_on: str, verb: Verb) -> ReplyPayload | None:
    """Return the answer to the command under way. Raises ``PublishError`` if the broker refuses it."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        try:
            connection.turn(waker.reader, _TURN_S)
        except PublishError:
            return None  # the command may have been carried out: nobody can tell
        while connection.answers:
            _, refusal = connection.answers.popleft()
            if refusal is not None:
                raise PublishError(f"the broker refuses the command: {refusal}; may this user write cmd/{verb} (docs/mosquitto.md)?")
        while connection.inbox:
            found = _read(connection.inbox.popleft(), answer_on)
            if found is not None:
                return found
    return None


def _read(message: Incoming, answer_on: str) -> ReplyPayload | None:
    """Return the answer in a message, None if it answers somebody else."""
    if message.retain or (message.topic != answer_on and message.correlation is not None):
        return None
    try:
        return ReplyPayload.model_validate_json(message.payload)
    except ValidationError:
        return None
