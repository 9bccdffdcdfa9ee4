"""What ``inspector ask --json`` prints. Its JSON Schema depends on the station: each field allows its closed list and nothing else."""

from typing import Any, Literal

from pydantic import Field as Described
from pydantic import create_model

from inspector.core.reply import Field, Reply
from inspector.edge.payload import Duration, Payload, Probability


class AnswerPayload(Payload):
    """A reply to a question; ``answer_model`` adds what the fields may hold."""

    schema_id: Literal["inspector.answer/1"] = Described("inspector.answer/1", alias="schema", description="Names this schema.")
    station: str = Described(description="Name of the station.")
    model: str = Described(description="Name and revision of the model.")
    product: str = Described(description="Product that was spoken of.")
    question: str = Described(description="What was asked.")
    picture: str | None = Described(description="File or inspection that was shown; null: none.")
    reports: list[str] = Described(description="Ids of the QC reports that stood in the text.")
    sentence: str = Described(description="Free text by the model: nothing holds it to the truth.")
    times_ms: dict[str, Duration] = Described(description="Milliseconds by stage.")


def answer_model(fields: tuple[Field, ...]) -> type[AnswerPayload]:
    """Return the payload whose ``fields`` hold one value of each closed list with the probability of all."""
    filled = {field.name: (_field_model(field), Described(description=f"Field {field.name}.")) for field in fields}
    table: Any = create_model("Fields", __base__=Payload, **filled)  # type: ignore[call-overload]  # fields by name
    return create_model(
        "Answer", __base__=AnswerPayload, fields=(table, Described(description="The fields, in the order they were filled."))
    )


def answer_fields(reply: Reply) -> dict[str, Any]:
    """Return ``fields`` of a reply as the model takes them."""
    return {filled.field.name: {"value": filled.value, "scores": dict(filled.scores)} for filled in reply.fields}


def _field_model(field: Field) -> Any:  # noqa: ANN401 - a class that is made here
    """Return the payload of one field."""
    choices: Any = Literal.__getitem__(field.choices)
    return create_model(
        field.name.capitalize(),
        __base__=Payload,
        value=(choices, Described(description="The most probable value.")),
        scores=(dict[choices, Probability], Described(description="Probability of every value, given the fields before; not calibrated.")),
    )
