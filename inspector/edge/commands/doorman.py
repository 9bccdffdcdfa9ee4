"""The doorman: turns a message on ``cmd/<verb>`` into a request, or into a refusal with its reason. Pure: the clock comes from outside.

Nothing that comes in is trusted. What is not allowed, kept by the broker, too frequent, too long or not as the schema says is refused.
An answer goes where the asker wants it, but never to a topic where another message is expected: a reply must not pass for a verdict.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from inspector.edge.commands.bucket import Bucket
from inspector.edge.commands.payload import Command, command_models
from inspector.edge.incoming import Incoming
from inspector.edge.topics import Topics
from inspector.settings import CommandsSection, Verb

LONGEST_BYTES = 4096
"""No command needs more."""
_CALM_S = 60.0
"""So long without one too many, and a flood is over."""
_MISTAKES = 16
"""Mistakes named in one answer."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asked what, and where the answer goes."""

    verb: str
    """The command, as far as it could be read."""
    who: str
    """Who asks, as far as he says so."""
    reply_topic: str
    """Where the answer goes."""
    correlation: bytes | None = None
    """What the answer must repeat."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command that may be carried out."""

    asker: Asker
    """Who asked."""
    verb: Verb
    """What is to be done."""
    command: Command
    """Its details."""
    arrived_ns: int
    """``time.monotonic_ns()`` when it came in."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that is not carried out."""

    asker: Asker
    """Who asked."""
    reason: str
    """Why not."""
    mistakes: Sequence[str] = ()
    """What is wrong with it."""


@dataclass(slots=True)
class _Flood:
    """Commands of one kind that came too often."""

    count: int
    """How many were refused."""
    last_s: float
    """When the last one came, seconds of the monotonic clock."""


@dataclass(slots=True)
class Doorman:
    """Lets commands in."""

    topics: Topics
    """The station's topics."""
    rules: CommandsSection
    """What is allowed."""
    buckets: dict[str, Bucket] = field(default_factory=dict)
    """What may still come, by verb; all unknown verbs share one."""
    floods: dict[str, _Flood] = field(default_factory=dict)
    """Commands that come too often at present, by verb."""

    def look(self, message: Incoming, arrived_ns: int) -> Request | Refusal | None:
        """Return what to do about a message; None: nothing, it is one of too many and the first of them was answered."""
        verb = message.topic.removeprefix(self.topics.command(""))
        known = verb in command_models()
        asker, wrong_topic = self._asker(message, verb)
        too_many = self._too_many(verb if known else "", arrived_ns / 1e9)
        if too_many is not None:
            return Refusal(asker, too_many) if too_many else None
        if not known:
            return Refusal(asker, f"there is no such command; there are: {', '.join(command_models())}")
        if verb not in self.rules.allow:
            return Refusal(asker, f"not allowed at this station: commands.allow in station.toml holds {list(self.rules.allow)}")
        if message.retain:
            return Refusal(asker, "it was sent to be kept (retain): it would be carried out at every start; send it without")
        if wrong_topic:
            return Refusal(asker, wrong_topic)
        return _read(asker, message.payload, arrived_ns)

    def calmed(self, now_s: float) -> list[str]:
        """Return a sentence for each flood that is over."""
        over = [verb for verb, flood in self.floods.items() if now_s - flood.last_s > _CALM_S]
        return [f"{verb or 'unknown'}: {self.floods.pop(verb).count} commands were refused because they came too often" for verb in over]

    def _too_many(self, verb: str, now_s: float) -> str | None:
        """Return why a command comes too early: empty if that was said before; None if it may come."""
        bucket = self.buckets.setdefault(verb, Bucket(self.rules.per_minute / 60.0, self.rules.burst))
        if bucket.take(now_s):
            return None
        flood = self.floods.setdefault(verb, _Flood(0, now_s))
        flood.count, flood.last_s = flood.count + 1, now_s
        if flood.count > 1:
            return ""
        return f"too many: commands.burst = {self.rules.burst} at once and commands.per_minute = {self.rules.per_minute:g} are let in"

    def _asker(self, message: Incoming, verb: str) -> tuple[Asker, str]:
        """Return who asks, and what is wrong with the topic that he wants the answer on; then it goes to the usual one."""
        said = message.properties.get("who") or _said(message.payload)
        asker = Asker(_line(verb), _line(said) or "unnamed", self.topics.reply(verb if verb in command_models() else "unknown"))
        wanted = message.response_topic
        if not wanted:
            return asker, ""
        fault = _topic_fault(wanted, self.topics)
        return Asker(asker.verb, asker.who, asker.reply_topic if fault else wanted, message.correlation), fault


def _topic_fault(topic: str, topics: Topics) -> str:
    """Return what is wrong with a response topic, empty if nothing is."""
    if any(sign in topic for sign in "+#\0") or topic.startswith("$") or len(topic.encode()) > 1024:
        return f"response topic {_line(topic)!r}: it may not hold + or #, begin with $ or be longer than 1024 bytes"
    within = topic == topics.root or topic.startswith(f"{topics.root}/")
    if within and not topic.startswith(topics.reply("")):
        return f"response topic {_line(topic)!r}: below {topics.root} answers go to {topics.reply('')}... alone"
    return ""


def _read(asker: Asker, payload: bytes, arrived_ns: int) -> Request | Refusal:
    """Return the request in a payload, or every mistake in it."""
    if len(payload) > LONGEST_BYTES:
        return Refusal(asker, f"{len(payload)} bytes are too long for a command; at most {LONGEST_BYTES}")
    verb: Verb = next(name for name in command_models() if name == asker.verb)
    try:
        command = command_models()[verb].model_validate_json(payload or b"{}")
    except ValidationError as error:
        mistakes = [": ".join([*(".".join(map(str, found["loc"])) for _ in found["loc"][:1]), found["msg"]]) for found in error.errors()]
        schema = f"inspector/schemas/cmd-{verb}.schema.json"
        return Refusal(
            asker, f"not as {schema} says: {_line('; '.join(mistakes), 400)}", [_line(line, 200) for line in mistakes[:_MISTAKES]]
        )
    return Request(asker, verb, command, arrived_ns)


def _said(payload: bytes) -> str:
    """Return who a payload says it is from, empty if it cannot be read."""
    if len(payload) > LONGEST_BYTES:
        return ""
    try:
        found = json.loads(payload or b"{}")
    except (ValueError, RecursionError):
        return ""
    who = found.get("who") if isinstance(found, dict) else None
    return who if isinstance(who, str) else ""


def _line(text: str, longest: int = 64) -> str:
    """Return a text that is fit for one line of a log."""
    plain = "".join(sign if sign.isprintable() else "?" for sign in text)
    return plain if len(plain) <= longest else plain[: longest - 2] + ".."
