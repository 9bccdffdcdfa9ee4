"""The AsyncAPI 3.0 document of a station's MQTT side, for code generators and documentation tools: ``inspector/schemas/asyncapi.json``.

Topics come from ``Topics``, payloads are the JSON Schemas beside the document. https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from inspector import __version__
from inspector.edge.commands.payload import command_models
from inspector.edge.topics import Topics

_BINDING = "0.2.0"
"""Version of AsyncAPI's MQTT binding."""
_LEVELS = {
    "root": ("mqtt.root: what all topics begin with, one or more levels.", "inspector/v1"),
    "site": ("station.site.", "site"),
    "area": ("station.area.", "area"),
    "line": ("station.line.", "line"),
    "station": ("Name of the station: that of its folder.", None),
}
"""Levels of a topic: what they are, and their defaults."""
_TOPICS = Topics(**{level: f"{{{level}}}" for level in _LEVELS})

_CLOUD_EVENT = {
    "type": "object",
    "description": "MQTT 5 user properties: a CloudEvent in binary mode.",
    "required": ["specversion", "type", "source", "id", "time"],
    "properties": {
        "specversion": {"type": "string", "const": "1.0"},
        "type": {"type": "string", "enum": ["inspector.result.v1", "inspector.event.v1", "inspector.review.v1"]},
        "source": {"type": "string", "description": "/site/area/line/station"},
        "id": {"type": "string", "description": "inspection_id, event-<event_id>, or review_id."},
        "time": {"type": "string", "format": "date-time"},
        "subject": {"type": "string", "description": "Part, else frame; of an event its kind."},
        "replayed": {"type": "string", "const": "true", "description": "Only on a result that a replay command asked for."},
    },
}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_INFO = {
    "type": "object",
    "description": "What the station is.",
    "required": ["schema", "station", "version", "products", "cameras", "checkpoint", "commands"],
    "properties": {
        "schema": {"type": "string", "const": "inspector.info/1"},
        "station": {"type": "string"},
        "version": {"type": "string", "description": "Version of inspector."},
        "products": {"type": "object", "description": "Labels of each product.", "additionalProperties": _TEXTS},
        "cameras": _TEXTS,
        "checkpoint": {"type": "string"},
        "commands": {"type": "array", "description": "Commands that the station obeys.", "items": {"type": "string"}},
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic and what is sent on it."""

    address: str
    """The topic, with its levels as parameters."""
    summary: str
    """What it tells."""
    payload: Mapping[str, Any]
    """Schema of the payload, or a reference to one."""
    qos: Literal[0, 1]
    """Quality of service."""
    is_retained: bool = False
    """True if the broker keeps the newest message."""
    content_type: str = "application/json"
    """MIME type of the payload."""
    headers: Mapping[str, Any] | None = None
    """MQTT 5 user properties, if the message bears any."""


def channels() -> dict[str, Channel]:
    """Return what a station sends, by name; the topics of commands are made from ``command_models``."""
    shown = "The newest result, for those who come later; optional: extras.last."
    picture = "The picture with the verdict drawn in; optional: extras.image, and after a snapshot."
    return {
        "result": Channel(_TOPICS.result, "One message an inspection.", _file("result"), 1, headers=_CLOUD_EVENT),
        "event": Channel(_TOPICS.event, "Alarms and their ends.", _file("event"), 1, headers=_CLOUD_EVENT),
        "review": Channel(_TOPICS.review, "What a person decided about a part.", _file("review"), 1, headers=_CLOUD_EVENT),
        "status": Channel(_TOPICS.status, "State of the station; also the last will.", _file("status"), 1, is_retained=True),
        "info": Channel(_TOPICS.info, "What the station is.", _INFO, 1, is_retained=True),
        "metrics": Channel(_TOPICS.metrics, "Figures about the daemon, every health.metrics_every_s.", _file("metrics"), 0),
        "last": Channel(_TOPICS.last, shown, _file("result"), 1, is_retained=True),
        "image": Channel(_TOPICS.image("{inspection_id}"), picture, {"type": "string", "format": "binary"}, 0, content_type="image/jpeg"),
        "reply": Channel(_TOPICS.reply("{verb}"), "Answers to commands that name no response topic.", _file("reply"), 1),
    }


def document() -> dict[str, Any]:
    """Return the whole document, fit for JSON."""
    sent = channels()
    orders = {
        f"cmd-{verb}": Channel(_TOPICS.command(verb), str(model.__doc__), _file(f"cmd-{verb}"), 0)
        for verb, model in command_models().items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "inspector",
            "version": __version__,
            "description": "What an inspection station says and hears over MQTT. What a subscriber may rely on is told in docs/mqtt.md."
            " Payloads are JSON Schemas, draft 2020-12; within /1 fields are only added.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {"broker": _server()},
        "defaultContentType": "application/json",
        "channels": {name: _channel(name, channel) for name, channel in (sent | orders).items()},
        "operations": {name: _operation(name, channel, "send") for name, channel in sent.items()}
        | {name: _operation(name, channel, "receive") | {"reply": _reply()} for name, channel in orders.items()},
    }


def _server() -> dict[str, Any]:
    """Return the broker; its last will is the status ``offline``."""
    will = {"topic": _TOPICS.status, "qos": 1, "retain": True, "message": '{"schema": "inspector.status/1", "state": "offline"}'}
    return {
        "host": "{host}:{port}",
        "protocol": "mqtt",
        "protocolVersion": "5",
        "description": "The plant's broker; TLS where mqtt.ca_file is set. Brokers that know no better are spoken to in MQTT 3.1.1.",
        "variables": {"host": {"default": "127.0.0.1"}, "port": {"default": "1883"}},
        "bindings": {"mqtt": {"cleanSession": True, "keepAlive": 15, "lastWill": will, "bindingVersion": _BINDING}},
    }


def _channel(name: str, channel: Channel) -> dict[str, Any]:
    """Return a channel with its parameters and its message."""
    message: dict[str, Any] = {"name": name, "contentType": channel.content_type, "payload": channel.payload}
    if channel.headers is not None:
        message["headers"] = channel.headers
    parameters: dict[str, Any] = {
        level: {"description": words, **({"default": default} if default else {})} for level, (words, default) in _LEVELS.items()
    }
    for own, words in (("inspection_id", "UUID of the inspection."), ("verb", "The command that is answered.")):
        if f"{{{own}}}" in channel.address:
            parameters[own] = {"description": words}
    return {"address": channel.address, "description": channel.summary, "parameters": parameters, "messages": {name: message}}


def _operation(name: str, channel: Channel, action: str) -> dict[str, Any]:
    """Return what the station does on a channel."""
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": channel.summary,
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        "bindings": {"mqtt": {"qos": channel.qos, "retain": channel.is_retained, "bindingVersion": _BINDING}},
    }


def _reply() -> dict[str, Any]:
    return {"channel": {"$ref": "#/channels/reply"}, "messages": [{"$ref": "#/channels/reply/messages/reply"}]}


def _file(name: str) -> dict[str, str]:
    return {"$ref": f"./{name}.schema.json"}
