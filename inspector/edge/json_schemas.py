"""The JSON Schemas (draft 2020-12) of the MQTT payloads and of ``inspector status --json``, as they are shipped in ``inspector/schemas``.

``python -m inspector.edge.json_schemas`` writes them anew after a change to ``payload``; a test compares file and model.
"""

import json
from pathlib import Path

from inspector.edge.commands.payload import Command, ReplyPayload, command_models
from inspector.edge.health.condition import ConditionPayload
from inspector.edge.health.payload import MetricsPayload
from inspector.edge.payload import EventPayload, Payload, ResultPayload, ReviewPayload, StatusPayload


def schema_files() -> dict[str, str]:
    """Return the text of every schema file, by file name."""
    return {
        "result.schema.json": _text(ResultPayload, "inspector.result/1"),
        "status.schema.json": _text(StatusPayload, "inspector.status/1"),
        "event.schema.json": _text(EventPayload, "inspector.event/1"),
        "review.schema.json": _text(ReviewPayload, "inspector.review/1"),
        "metrics.schema.json": _text(MetricsPayload, "inspector.metrics/1"),
        "condition.schema.json": _text(ConditionPayload, "inspector.condition/1"),
        "reply.schema.json": _text(ReplyPayload, "inspector.reply/1"),
        **{f"cmd-{verb}.schema.json": _text(model, f"inspector.cmd.{verb}/1") for verb, model in command_models().items()},
    }


def schema_folder() -> Path:
    """Return the folder of the shipped schemas."""
    return Path(__file__).parent.parent / "schemas"


def write_schemas(folder: Path) -> None:
    """Write every schema file into a folder."""
    for name, text in schema_files().items():
        (folder / name).write_text(text, encoding="utf-8")


def _text(payload: type[Payload | Command], title: str) -> str:
    """Return one schema as indented JSON with a closing line feed."""
    # A message that is sent holds every field; a command that comes in may leave some out.
    schema = payload.model_json_schema(by_alias=True, mode="validation" if issubclass(payload, Command) else "serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return json.dumps({**head, **{k: v for k, v in schema.items() if k != "title"}}, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write_schemas(schema_folder())
