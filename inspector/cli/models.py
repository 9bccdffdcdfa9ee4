"""``inspector models``: which models there are, whether they answer here as their source did, and the way back to the previous one."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.models_export import export
from inspector.cli.models_pull import pull
from inspector.errors import CheckpointError, InspectorError
from inspector.settings import CameraSection, ModelSection, StationSettings, read_station

if TYPE_CHECKING:
    from inspector.core.frame import Frame
    from inspector.training.freeze import Candidate
    from inspector.vlm.frozen_set import FrozenSet
    from inspector.vlm.model_store import Installed
    from inspector.vlm.parity import Compared, Gate


@click.group
def command() -> None:
    """List and fetch models, hold them against their frozen sets, go back to the previous one."""


command.add_command(pull)
command.add_command(export)


@command.command("list")
@click.pass_obj
def list_models(root: Path) -> None:
    """List the models below models/: revision, size, who uses them, and how they passed the parity gate on this machine."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    from inspector.vlm.full_checkpoint import full_folders  # noqa: PLC0415 - as above
    from inspector.vlm.model_store import stations_of  # noqa: PLC0415 - as above

    table, used = Table("model", "revision", "size", "used by", "parity"), stations_of(root)
    edge = [path.parent for path in (root / "models").glob("[!.]*/model.toml")]
    for folder in sorted([*edge, *full_folders(root / "models")]):
        stations = [station for station, checkpoint in used.items() if (root / "models" / checkpoint) == folder]
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        revision, parity = _state(root, folder, stations)
        name = folder.relative_to(root / "models").as_posix()
        table.add_row(name, revision, f"{size / 1e6:.0f} MB", ", ".join(stations) or "-", parity)
    Console().print(table)
    gone = [f"{station}: models/{name} is not there" for station, name in used.items() if not (root / "models" / name).is_dir()]
    for line in gone:
        click.echo(line)


@command.command("verify")
@click.argument("name", metavar="NAME|STATION")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Write a picture of all frozen pictures with both answers.")
@click.pass_obj
def verify_model(root: Path, name: str, sheet: Path | None) -> None:
    """Let a model judge its frozen set anew and compare each answer with its source's.

    For a STATION: the model, execution providers and frozen sets in use there. For the NAME of a model: its own set, on the CPU.
    Exits with 1 if it may not judge parts.
    """
    from inspector.vlm.opening import open_any, open_predictor, verify_any  # noqa: PLC0415 - quick --help
    from inspector.vlm.parity import open_gate, summary  # noqa: PLC0415 - as above

    folder = root / "calibration" / name
    is_model = not (folder / "station.toml").is_file() and not verify_any(root / "models" / name)
    settings = None if is_model else read_station(folder)
    model = ModelSection(checkpoint=name) if settings is None else settings.model
    checkpoint = open_any(root / "models" / model.checkpoint, model)
    gate = open_gate(checkpoint, settings)
    for line in gate.notes:
        click.echo(f"note: {line}")
    if not gate.sets:
        raise CheckpointError(f"{checkpoint.folder}: there is nothing to compare with; inspector models freeze STATION makes a set")
    predictor = open_predictor(checkpoint, model)
    compared = gate.judge(predictor)
    _show(compared, gate)
    if sheet is not None:
        _draw(sheet, compared, gate, f"{predictor.name}: {summary(compared)}")
        click.echo(f"sheet: {sheet}")
    gate.refuse(compared)
    click.echo(f"{predictor.name} answers here as its source did: {summary(compared)}")


@command.command("rollback")
@click.argument("station")
@click.option("--forward", is_flag=True, help="The other way: to the model after the one in use.")
@click.pass_obj
def roll_back(root: Path, station: str, forward: bool) -> None:
    """Let STATION use its previous model from its next start on. Run it again for the one before that.

    The model must pass the parity gate; otherwise nothing changes.
    """
    from inspector.vlm.model_store import rollback  # noqa: PLC0415 - quick --help

    done = rollback(root, root / "calibration" / station, forward=forward)
    click.echo(f"{root / 'calibration' / station / 'station.toml'}: model.checkpoint is now {done.checkpoint} ({done.model})")
    _tell(station, done, forward=forward)


@command.command("freeze")
@click.argument("station")
@click.option(
    "--pictures", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder with pictures. Default: a folder camera's."
)
@click.option("--for-model", is_flag=True, help="Write the set into the model's folder instead of the station's.")
@click.pass_obj
def freeze_set(root: Path, station: str, pictures: Path | None, for_model: bool) -> None:
    """Freeze up to 40 pictures of STATION (16 for a full MiniCPM-V) with the answers of the model's source in float32.

    From then on the station's model must answer them alike at every start. Needs the packages of qc-inspector[train].
    """
    from inspector.daemon import open_judge  # noqa: PLC0415 - quick --help
    from inspector.training.freeze import candidates_of  # noqa: PLC0415 - torch only where it is needed
    from inspector.vlm.frozen_set import FOLDER  # noqa: PLC0415 - as above

    settings = read_station(root / "calibration" / station)
    with open_judge(settings, root) as pipeline:
        candidates = candidates_of(pipeline, _frames(settings, pictures))
    frozen = _frozen(root, settings, candidates, None if for_model else settings.folder / FOLDER)
    click.echo(f"{frozen.folder}: {len(frozen.pictures)} of {len(candidates)} pictures frozen for {frozen.model}")


def _frozen(root: Path, settings: StationSettings, candidates: "Sequence[Candidate]", folder: Path | None) -> "FrozenSet":
    """Write a frozen set of the station's model: its source is the torch model behind the graphs, or the full model in float32."""
    from inspector.training.freeze import freeze, freeze_full  # noqa: PLC0415 - torch only where it is needed
    from inspector.training.graph_weights import model_of  # noqa: PLC0415 - as above
    from inspector.vlm.checkpoint import Checkpoint  # noqa: PLC0415 - as above
    from inspector.vlm.opening import open_any, open_predictor  # noqa: PLC0415 - as above

    checkpoint = open_any(root / "models" / settings.model.checkpoint, settings.model)
    name = f"{checkpoint.name}@{checkpoint.revision}"
    if isinstance(checkpoint, Checkpoint):
        source = f"float32 torch model rebuilt from the graphs of {name}, quantised weights as they are"
        return freeze(checkpoint.folder, *model_of(checkpoint), candidates, source, folder)
    exact = settings.model.model_copy(update={"precision": "float32"})
    return freeze_full(checkpoint, open_predictor(checkpoint, exact), candidates, f"the weights of {name} in float32", folder)


def _frames(settings: StationSettings, pictures: Path | None) -> "list[Frame]":
    """Read every picture of a folder, or of the station's first folder camera."""
    from inspector.edge.camera import open_camera  # noqa: PLC0415 - quick --help

    if pictures is not None:
        name, section = next(iter(settings.cameras)), CameraSection(kind="folder", path=pictures.resolve())
    else:
        folders = {name: section for name, section in settings.cameras.items() if section.kind == "folder"}
        if not folders:
            raise InspectorError(f"{settings.name}: no camera of kind folder; name pictures of this station with --pictures FOLDER")
        name, section = next(iter(folders.items()))
    section = section.model_copy(update={"rate_hz": 0.0, "loop": False, "watch": False})
    camera = open_camera(name, section, station=settings.name, base=settings.folder, max_pixels=settings.quality.max_pixels)
    frames = list["Frame"]()
    try:
        while not camera.finished:
            frame = camera.read(1.0)
            frames += [frame] if frame else []
    finally:
        camera.close()
    return frames


def _state(root: Path, folder: Path, stations: Sequence[str]) -> tuple[str, str]:
    """Return a model's revision and how it stands with the gate."""
    from inspector.edge.log import database_path  # noqa: PLC0415 - quick --help
    from inspector.vlm.opening import open_any  # noqa: PLC0415 - as above
    from inspector.vlm.parity import memory_of, open_gate  # noqa: PLC0415 - as above
    from inspector.vlm.parity_memory import recall  # noqa: PLC0415 - as above

    states, revision = list[str](), "-"
    try:
        checkpoint = open_any(folder, read_station(root / "calibration" / stations[0]).model if stations else ModelSection())
        revision = checkpoint.revision
        for station in stations:
            settings = read_station(root / "calibration" / station)
            checkpoint = open_any(folder, settings.model)
            gate, memory = open_gate(checkpoint, settings), memory_of(database_path(settings, root))
            known = recall(memory, gate.key) if gate.sets else None
            told = f"passed {known.judged_at}, shift {known.largest_shift:.4f}" if known else "not judged here yet"
            states.append(f"{station}: {told if gate.sets else 'no frozen set'}")
        if not stations:
            pictures = sum(len(frozen.pictures) for frozen in open_gate(checkpoint, None).sets)
            states.append(f"{pictures} frozen pictures" if pictures else "no frozen set")
    except (InspectorError, tomllib.TOMLDecodeError) as error:
        states.append(f"FAULT: {str(error).splitlines()[0]}")
    return revision, "; ".join(states)


def _show(compared: "Sequence[Compared]", gate: "Gate") -> None:
    """Print one row a picture."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - quick --help
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table("picture", "product", "source", "here", "shift", "", box=SIMPLE_HEAD)
    for one in compared:
        found = "no answer" if not one.found else f"{one.found_label} {one.found[one.found_label]:.3f}"
        mark = "FLIP" if one.is_flipped else "SHIFT" if one.is_beyond(gate.limits) else "ok"
        source = f"{one.expected_label} {one.picture.expected[one.expected_label]:.3f}"
        table.add_row(one.picture.file.stem, one.picture.context.product, source, found, f"{one.shift:.4f}", mark)
    Console().print(table)


def _draw(path: Path, compared: "Sequence[Compared]", gate: "Gate", title: str) -> None:
    """Draw every picture with both answers; those that speak against the model are crossed."""
    from inspector.demo.sheet import Tile, write_sheet  # noqa: PLC0415 - quick --help

    tiles = [
        Tile(
            one.picture.file, one.expected_label, one.found_label, one.found.get(one.found_label, 0.0),
            f"source {one.picture.expected[one.expected_label]:.2f}, here",
            f"shift {one.shift:.2f}" if one.is_beyond(gate.limits) and not one.is_flipped else "",
        )
        for one in compared
    ]  # fmt: skip
    write_sheet(path, tiles, title)


def _tell(station: str, done: "Installed", *, forward: bool) -> None:
    """Say what was done and what is left to do."""
    click.echo(done.parity.text)
    for line in done.parity.notes:
        click.echo(f"note: {line}")
    click.echo(f"A running daemon keeps {done.previous} until it is restarted (a reload does not take a model over):")
    click.echo(f"  sudo systemctl restart inspector@{station}")
    click.echo(f"The way back: inspector models rollback {station}" + ("" if forward else " --forward"))
    click.echo("Thresholds were fitted for one model: inspector check says whether their promise holds for this one.")
