"""The station for Home Assistant: one retained message describes the device (MQTT device discovery).

Source: Home Assistant, MQTT integration, "Device discovery payload" and the pages of its sensor, binary sensor and button platforms.
"""

import json
from collections.abc import Sequence
from typing import Any

from inspector import __version__
from inspector.edge.outbox import Message
from inspector.edge.topics import Topics
from inspector.settings import ExtrasSection, Verb

_ONLINE = "{{ 'offline' if value_json.state in ['offline', 'stopped', 'starting'] else 'online' }}"
_BUTTONS: dict[Verb, str] = {"trigger": "Trigger", "pause": "Pause", "resume": "Resume", "snapshot": "Snapshot", "reload": "Reload"}
"""Commands that need no details."""


def discovery_message(topics: Topics, rules: ExtrasSection, allowed: Sequence[Verb]) -> Message:
    """Return the retained message on ``<prefix>/device/<id>/config``; buttons stand for the allowed commands that need no details."""
    name = "".join(sign if sign.isalnum() or sign in "_-" else "_" for sign in f"inspector_{topics.place}")
    payload = {
        "device": {
            "identifiers": [name],
            "name": topics.station,
            "manufacturer": "inspector",
            "model": "visual inspection station",
            "sw_version": __version__,
            "suggested_area": topics.area,
        },
        "origin": {"name": "inspector", "sw_version": __version__},
        "availability": [{"topic": topics.status, "value_template": _ONLINE}],
        "components": {
            key: {**component, "unique_id": f"{name}_{key}"}
            for key, component in {**_sensors(topics, rules), **_buttons(topics, allowed)}.items()
        },
    }
    text = json.dumps(payload, ensure_ascii=False)
    return Message(f"{rules.homeassistant_prefix}/device/{name}/config", text.encode(), retain=True)


def _sensors(topics: Topics, rules: ExtrasSection) -> dict[str, dict[str, Any]]:
    """Return what is shown; the retained copy of the newest result is read where there is one."""
    newest = topics.last if rules.last else topics.result
    result = {"platform": "sensor", "state_topic": newest}
    return {
        "evaluation": {**result, "name": "Evaluation", "value_template": "{{ value_json.evaluation }}", "json_attributes_topic": newest},
        "label": {**result, "name": "Label", "value_template": "{{ value_json.label or 'none' }}"},
        "confidence": {
            **result,
            "name": "Confidence",
            "value_template": "{{ (value_json.confidence or 0) * 100 }}",
            "unit_of_measurement": "%",
            "suggested_display_precision": 1,
        },
        "age": {
            **result,
            "name": "Frame age",
            "value_template": "{{ value_json.frame_age_ms }}",
            "unit_of_measurement": "ms",
            "device_class": "duration",
            "entity_category": "diagnostic",
        },
        "problem": {
            "platform": "binary_sensor",
            "name": "Not OK",
            "device_class": "problem",
            "state_topic": newest,
            "value_template": "{{ 'OFF' if value_json.evaluation == 'OK' else 'ON' }}",
        },
        "state": {
            "platform": "sensor",
            "name": "State",
            "state_topic": topics.status,
            "value_template": "{{ value_json.state }}",
            "entity_category": "diagnostic",
        },
    }


def _buttons(topics: Topics, allowed: Sequence[Verb]) -> dict[str, dict[str, Any]]:
    """Return a button for each allowed command that needs no details."""
    press = {"platform": "button", "payload_press": '{"who": "Home Assistant"}', "retain": False}
    return {verb: {**press, "name": name, "command_topic": topics.command(verb)} for verb, name in _BUTTONS.items() if verb in allowed}
