"""``inspector assist``: a spoken or typed sentence, and perhaps a picture, to a structured answer about a station. It never acts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.errors import AssistError
from inspector.settings import StationSettings, read_station

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


class Box(click.ParamType[tuple[int, int, int, int]]):
    """A part of a picture in pixels: x,y,width,height."""

    name = "X,Y,W,H"

    def convert(
        self, value: str | tuple[int, int, int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        """Return the four numbers."""
        if isinstance(value, tuple):
            return value
        try:
            x, y, width, height = (int(number) for number in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not x,y,width,height in pixels, such as 100,80,640,480", param, ctx)
        return x, y, width, height


@click.command
@click.argument("station")
@click.option("--text", help="The question, typed.")
@click.option("--audio", type=click.Path(path_type=Path), metavar="F.wav", help="The question, spoken: a WAV file of a minute at most.")
@click.option("--image", type=click.Path(path_type=Path), help="A picture that the question is about.")
@click.option("--screenshot", is_flag=True, help="The screen is the picture that the question is about.")
@click.option("--box", type=Box(), help="Only this part of the picture, in pixels.")
@click.option("--product", help="Product in the picture. Default: the station's.")
@click.option("--lot", help="Lot of the part in the picture; past reports are looked up by it.")
@click.option("--part", metavar="ID", help='What "this part" is: a part id or an inspection id. Default: the newest verdict.')
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (inspector/schemas/assist.schema.json).")
@click.option("--sentences", is_flag=True, help="Print the sentences that the station knows, and the words it cannot hear.")
@click.pass_obj
def command(
    root: Path,
    station: str,
    text: str | None,
    audio: Path | None,
    image: Path | None,
    screenshot: bool,
    box: tuple[int, int, int, int] | None,
    product: str | None,
    lot: str | None,
    part: str | None,
    as_json: bool,
    sentences: bool,
) -> None:
    """Answer a question about STATION from its log, its past reports and, if a picture is given, its model: docs/assist.md.

    The assistant never acts: an order is returned as something that a person must confirm on a screen. Text and reports alone do not
    run the model.
    """
    _refuse_wrong_use(text, audio, image, screenshot=screenshot, box=box, sentences=sentences)
    settings = read_station(root / "calibration" / station)
    with _history(settings, root) as history:
        from inspector.assist.words import Words  # noqa: PLC0415 - quick --help

        words = Words.of(settings, history.lots() if history is not None else ())
        if sentences:
            _tell_sentences(words, settings)
            return
        picture: Picture = "screenshot" if screenshot else "none" if image is None else "file"
        asked = _asked(words, settings, "inspect this part" if text is None and audio is None else text, audio, part, picture)
        answer = _answered(root, settings, history, asked, lambda: _frame(settings, image, box, product, lot))
    if as_json:
        click.echo(answer.to_json())
    else:
        _tell(answer)


def _refuse_wrong_use(text: str | None, audio: Path | None, image: Path | None, *, screenshot: bool, box: object, sentences: bool) -> None:
    """Raise ``UsageError`` if the options do not go together."""
    if text is not None and audio is not None:
        raise click.UsageError("--text and --audio are two questions; give one")
    if image is not None and screenshot:
        raise click.UsageError("--image and --screenshot are two pictures; give one")
    if box is not None and image is None and not screenshot:
        raise click.UsageError("--box needs --image or --screenshot")
    if not sentences and text is None and audio is None and image is None and not screenshot:
        raise click.UsageError(
            "ask with --text or --audio, or give a picture with --image or --screenshot; --sentences lists what is known"
        )


@contextmanager
def _history(settings: StationSettings, root: Path) -> "Iterator[History | None]":
    """Open the station's log to read; None if there is none yet."""
    from inspector.assist.history import History  # noqa: PLC0415 - quick --help
    from inspector.edge.log import database_path  # noqa: PLC0415 - as above

    path = database_path(settings, root)
    if not path.exists():
        yield None
        return
    with History(path, settings.name) as history:
        yield history


def _asked(
    words: "Words", settings: StationSettings, text: str | None, audio: Path | None, part: str | None, picture: "Picture"
) -> "Question":
    """Return the question that was typed or spoken."""
    from inspector.assist.answering import Question  # noqa: PLC0415 - quick --help
    from inspector.assist.sentences import understand  # noqa: PLC0415 - as above

    none = "it is none of the sentences that this station knows"
    if audio is None:
        meaning = understand(text or "", words)
        return Question(text, "text", meaning, none, part, picture)
    from inspector.assist.dictation import dictated  # noqa: PLC0415 - as above
    from inspector.assist.hearing import Ear  # noqa: PLC0415 - as above
    from inspector.assist.sound import read_sound  # noqa: PLC0415 - as above

    samples = read_sound(audio)
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

        with open_judge(settings, root) as pipeline:
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


def _frame(
    settings: StationSettings, path: Path | None, box: tuple[int, int, int, int] | None, product: str | None, lot: str | None
) -> "Frame":
    """Return the picture of a file, or of the screen, as a frame. Raises ``AssistError`` or ``CameraError``."""
    from inspector.assist.screen import cut, screenshot  # noqa: PLC0415 - quick --help
    from inspector.core.frame import Frame  # noqa: PLC0415 - as above
    from inspector.edge.camera import read_image  # noqa: PLC0415 - as above

    source = "screenshot" if path is None else str(path)
    image = screenshot() if path is None else read_image(path, max_pixels=settings.quality.max_pixels)
    return Frame(
        settings.name, "screenshot" if path is None else "file", Path(source).name, datetime.now(UTC), time.monotonic_ns(),
        image if box is None else cut(image, box, source), product=product, lot=lot, source=source,
    )  # fmt: skip


def _tell_sentences(words: "Words", settings: StationSettings) -> None:
    """Print what can be said, the slots' words, and the words that nobody knows the sound of."""
    from inspector.assist.hearing import Ear  # noqa: PLC0415 - quick --help
    from inspector.assist.sentences import said  # noqa: PLC0415 - as above

    for wording in said(words):
        click.echo(wording)
    for name, slot in words.slots.items():
        if slot.spoken:
            click.echo(f"<{name}>: {', '.join(slot.spoken)}")
    for wording in words.ambiguous:
        click.echo(f"note: {wording.strip()!r} stands for two labels and is taken for neither", err=True)
    try:
        unknown = Ear(words, settings.assist).unknown
    except AssistError as error:
        click.echo(f"note: {error}", err=True)
        return
    for word in unknown:
        click.echo(f"note: {word!r} can be typed, not spoken: tell how it sounds in [assist] words (docs/assist.md)", err=True)


def _tell(answer: "AssistPayload") -> None:
    """Print an answer for people."""
    if answer.heard_by != "text":
        click.echo(f"heard: {answer.transcript or '-'}")
    click.echo(answer.answer)
    click.echo(f"do: {answer.suggested_action}")
    for report in answer.reports:
        click.echo(f"report {report.report_id} ({report.written_at:%Y-%m-%d}, lot {report.lot or '-'}): {report.text}")
    if answer.needs_confirmation is not None:
        wanted = answer.needs_confirmation
        click.echo(f"to be confirmed: {wanted.action}{f' on {wanted.topic}' if wanted.topic else ''} {wanted.payload}")
    for note in answer.notes:
        click.echo(f"note: {note}")
