"""How a question to the assistant is answered: log, words, ear, report encoder and model are opened as far as it needs them.

``inspector assist`` and the dashboard's assistant ask the same way. Nothing here writes anything.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.settings import StationSettings

if TYPE_CHECKING:
    from inspector.assist.answering import Question
    from inspector.assist.history import History
    from inspector.assist.words import Words
    from inspector.core.frame import Frame
    from inspector.core.inspection import Inspection
    from inspector.core.report import Report
    from inspector.edge.assistance import AssistPayload, Picture

_REPORTS_LOOKED_AT = 200
"""Nearest reports of which those about the label are taken."""
_LOOK = "inspect this part"
"""What a picture without a question asks."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks, as it came in."""

    text: str | None = None
    """Typed."""
    sound: Path | bytes | None = None
    """Spoken: a WAV file or its content."""
    image: Path | None = None
    """A picture that it is about."""
    is_screenshot: bool = False
    """True: the screen is the picture."""
    box: tuple[int, int, int, int] | None = None
    """Only this part of the picture, (x, y, width, height) in pixels."""
    product: str | None = None
    """Product in the picture; None: the station's."""
    lot: str | None = None
    """Lot of the part in the picture."""
    part: str | None = None
    """Id of "this part"; None: the newest verdict."""

    @property
    def picture(self) -> "Picture":
        """Whether there is a picture, and where it comes from."""
        return "screenshot" if self.is_screenshot else "none" if self.image is None else "file"


def answer_to(settings: StationSettings, root: Path, asked: Asked) -> "AssistPayload":
    """Return the assistant's answer. Raises ``InspectorError`` if log, sound, picture or model cannot be used."""
    with open_history(settings, root) as history:
        from inspector.assist.words import Words  # noqa: PLC0415 - quick --help

        words = Words.of(settings, history.lots() if history is not None else ())
        return _answered(root, settings, history, _question(words, settings, asked), lambda: _frame(settings, asked))


@contextmanager
def open_history(settings: StationSettings, root: Path) -> "Iterator[History | None]":
    """Open the station's log to read; None if there is none yet."""
    from inspector.assist.history import History  # noqa: PLC0415 - quick --help
    from inspector.edge.log import database_path  # noqa: PLC0415 - as above

    path = database_path(settings, root)
    if not path.exists():
        yield None
        return
    with History(path, settings.name) as history:
        yield history


def _question(words: "Words", settings: StationSettings, asked: Asked) -> "Question":
    """Return the question that was typed or spoken."""
    from inspector.assist.answering import Question  # noqa: PLC0415 - quick --help
    from inspector.assist.sentences import understand  # noqa: PLC0415 - as above

    none, part, picture = "it is none of the sentences that this station knows", asked.part, asked.picture
    if asked.sound is None:
        text = asked.text if asked.text is not None else _LOOK
        return Question(text, "text", understand(text, words), none, part, picture)
    from inspector.assist.dictation import dictated  # noqa: PLC0415 - as above
    from inspector.assist.hearing import Ear  # noqa: PLC0415 - as above
    from inspector.assist.sound import read_sound  # noqa: PLC0415 - as above

    samples = read_sound(asked.sound)
    heard = Ear(words, settings.assist).hear(samples)
    if heard.meaning is None and settings.assist.dictation is not None:
        free = dictated(samples, settings.resolve(settings.assist.dictation), words)
        return Question(free, "dictation", understand(free, words) if free else None, none if free else heard.reason, part, picture)
    return Question(heard.transcript, "sentences", heard.meaning, heard.reason, part, picture)


def _answered(
    root: Path, settings: StationSettings, history: "History | None", question: "Question", picture: "Callable[[], Frame]"
) -> "AssistPayload":
    """Ask the assistant; model and report encoder are opened only when it needs them."""
    from inspector.assist.answering import Assistant  # noqa: PLC0415 - quick --help

    def judge() -> "Inspection":
        from inspector.daemon import open_judge  # noqa: PLC0415 - a text question needs no model

        with open_judge(settings, root, read_only=True, use_reports=history is not None) as pipeline:
            return pipeline.inspect([picture()])[0]

    def similar(text: str) -> "list[tuple[Report, float]]":
        from inspector.edge.log import database_path  # noqa: PLC0415 - as above
        from inspector.edge.reports import ReportStore  # noqa: PLC0415 - as above
        from inspector.vlm.encoder import open_encoder  # noqa: PLC0415 - as above

        encoder = open_encoder(settings.encoder, root / "models", threads=settings.model.threads)
        store = ReportStore(database_path(settings, root), encoder.encode, encoder.revision, settings.reports, read_only=True)
        try:
            return store.search(text, _REPORTS_LOOKED_AT)
        finally:
            store.close()

    examples = ("why was this part rejected", "show the last defect", "what is the yield of the last shift", "how is the station")
    return Assistant(settings, root, history, similar, judge, lambda: datetime.now(UTC), examples).answer(question)


def _frame(settings: StationSettings, asked: Asked) -> "Frame":
    """Return the picture of a file, or of the screen, as a frame. Raises ``AssistError`` or ``CameraError``."""
    from inspector.assist.screen import cut, screenshot  # noqa: PLC0415 - quick --help
    from inspector.core.frame import Frame  # noqa: PLC0415 - as above
    from inspector.edge.camera import read_image  # noqa: PLC0415 - as above

    source = "screenshot" if asked.image is None else str(asked.image)
    image = screenshot() if asked.image is None else read_image(asked.image, max_pixels=settings.quality.max_pixels)
    return Frame(
        settings.name, "screenshot" if asked.image is None else "file", Path(source).name, datetime.now(UTC), time.monotonic_ns(),
        image if asked.box is None else cut(image, asked.box, source), product=asked.product, lot=asked.lot, source=source,
    )  # fmt: skip
