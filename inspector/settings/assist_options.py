"""The section about the assistant: how it hears, and how long a shift is. The daemon reads none of it."""

from pydantic import Field, field_validator

from inspector.settings.base import File, Section

PHONES = frozenset(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()  # noqa: SIM905
)
"""ARPAbet without stress, as the CMU pronouncing dictionary writes American English."""


class AssistSection(Section):
    """The assistant ``inspector assist``."""

    dictation: File | None = Field(
        None, description="Folder of a faster-whisper model, for speech that is none of the listed sentences; not set: none is tried."
    )
    words: dict[str, str] = Field(
        default_factory=dict,
        description='How words sound that the dictionary does not know, in ARPAbet: {flange = "F L AE N JH"}; docs/assist.md.',
    )
    shift_hours: float = Field(8.0, gt=0.0, le=24.0, description='How long "the last shift" is, hours.')

    @field_validator("words")
    @classmethod
    def _are_phones(cls, value: dict[str, str]) -> dict[str, str]:
        for word, sound in value.items():
            if not word.isalpha() or not sound.split() or not set(sound.split()) <= PHONES:
                wrong = " ".join(sorted(set(sound.split()) - PHONES)) or "nothing"
                raise ValueError(
                    f'"{word}" = "{sound}": one word of letters alone, and ARPAbet sounds such as "F L AE N JH"; not known: {wrong}'
                )
        return value
