"""``inspector assist``: a spoken or typed sentence, and perhaps a picture, to a structured answer about a station. It never acts."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.assist_answer import Asked, answer_to, open_history
from inspector.errors import AssistError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from inspector.assist.words import Words
    from inspector.edge.assistance import AssistPayload


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
    if sentences:
        with open_history(settings, root) as history:
            from inspector.assist.words import Words  # noqa: PLC0415 - quick --help

            _tell_sentences(Words.of(settings, history.lots() if history is not None else ()), settings)
        return
    answer = answer_to(settings, root, Asked(text, audio, image, screenshot, box, product, lot, part))
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
