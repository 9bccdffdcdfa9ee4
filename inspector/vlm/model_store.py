"""Putting a model into a station's use and taking it back: ``install`` and ``rollback``. The parity gate stands before both.

A model that was made for a station lies in ``models/<station>-<revision>/``. The switch is one replacement of station.toml, so a kill at
any instant leaves the old model in use or the new one; the previous one stays where it is. A running daemon keeps its model to its end.
"""

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inspector.errors import CheckpointError, SettingsError
from inspector.settings import StationSettings, choose_model, keep_fits, read_station, read_station_table, restore_fits
from inspector.settings.table_file import sync_to_disk
from inspector.vlm.encoder import expected_revision
from inspector.vlm.frozen_set import FOLDER, open_set
from inspector.vlm.full_checkpoint import AnyCheckpoint
from inspector.vlm.model_history import followed_by, name_for, neighbour, read_history, surplus, write_history
from inspector.vlm.opening import open_any, open_predictor, verify_any
from inspector.vlm.parity import Parity, check_parity, open_gate


@dataclass(frozen=True, slots=True)
class Installed:
    """What a station uses from its next start on."""

    checkpoint: str
    """Folder below models/."""
    model: str
    """``name@revision``."""
    previous: str
    """What was in use before, and stays where it is."""
    parity: Parity
    """How the gate was passed."""
    removed: tuple[str, ...] = ()
    """Older models of this station that made room."""


def install(root: Path, station_folder: Path, new_checkpoint_folder: Path, decide: Callable[[], object] = lambda: None) -> Installed:
    """Copy a checkpoint below ``root/models`` and let a station use it from its next start on.

    ``decide`` writes the thresholds that were fitted with it; what was fitted with the old model is kept and comes back with it.

    The copy must pass the parity gate with the station's own providers, name its labels and read its report encoder. The folder given
    is left as it is. Raises ``CheckpointError`` or ``SettingsError``, and then the old model is in use as before.
    """
    settings = read_station(station_folder)
    station, old = settings.name, settings.model.checkpoint
    fresh = open_any(new_checkpoint_folder, settings.model)
    history = read_history(station_folder)
    name = name_for(station, fresh.revision)
    place = root / "models" / name
    try:
        _sweep(root / "models", station)
        try:
            parity = _put(new_checkpoint_folder, place, settings)
        except CheckpointError as error:
            raise CheckpointError(f"{new_checkpoint_folder}: not installed, {old} stays in use\n{error}") from error
        history = followed_by(history, old, name)
        write_history(station_folder, history)
        keep_fits(station_folder, old)
        choose_model(station_folder, name)
        restore_fits(station_folder, name)
        decide()
        removed = surplus(history, station, {name, *_in_use(root)})
        write_history(station_folder, [entry for entry in history if entry not in removed])
        for entry in removed:
            _remove(root / "models" / entry)
    except OSError as error:
        raise CheckpointError(
            f"{error.filename or place}: cannot be written ({error.strerror}); {read_station(station_folder).model.checkpoint} is in use;"
            " check the disk and the owner of models/ and of the station's folder"
        ) from error
    return Installed(name, f"{fresh.name}@{fresh.revision}", old, parity, tuple(removed))


def rollback(root: Path, station_folder: Path, *, forward: bool = False) -> Installed:
    """Let a station use the model before the one in use, or with ``forward`` the one after it, from its next start on.

    Raises ``CheckpointError`` if there is none or if it may not judge parts, and then nothing has changed.
    """
    settings = read_station(station_folder)
    old = settings.model.checkpoint
    name = neighbour(read_history(station_folder), old, forward=forward)
    if name is None:
        side = "newer" if forward else "previous"
        raise CheckpointError(f"{settings.name} uses {old}, and no {side} model is known; inspector models list shows what there is")
    checkpoint = open_any(root / "models" / name, settings.model)
    parity = admit(settings, checkpoint)
    try:
        keep_fits(station_folder, old)
        choose_model(station_folder, name)
        restore_fits(station_folder, name)
    except OSError as error:
        raise CheckpointError(f"{error.filename or station_folder}: cannot be written ({error.strerror}); run it again") from error
    return Installed(name, f"{checkpoint.name}@{checkpoint.revision}", old, parity)


def admit(settings: StationSettings, checkpoint: AnyCheckpoint) -> Parity:
    """Return how a checkpoint passed a station's gate, judged anew. Raises ``CheckpointError`` if it may not judge there."""
    predictor = open_predictor(checkpoint, settings.model)
    predictor.check_labels({name: product.label_set() for name, product in settings.products.items()})
    if settings.reports.max_reports:
        checkpoint.refuse_other_encoder(expected_revision(settings.encoder))
    return check_parity(open_gate(checkpoint, settings), lambda: predictor, None)


def stations_of(root: Path) -> dict[str, str]:
    """Return the checkpoint of each station below ``root/calibration`` whose settings can be read, by the station's name."""
    found = {}
    for path in sorted((root / "calibration").glob("*/station.toml")):
        with suppress(SettingsError):
            table = read_station_table(path.parent).get("model", {})
            found[path.parent.name] = str(table.get("checkpoint", "inspector-edge")) if isinstance(table, dict) else ""
    return found


def _in_use(root: Path) -> Iterable[str]:
    return (Path(checkpoint).name for checkpoint in stations_of(root).values())


def _put(source: Path, place: Path, settings: StationSettings) -> Parity:
    """Put a copy of a checkpoint that passes the gate in its place, on the disk to the last byte; one that is there and whole stays."""
    if source.resolve() == place.resolve() or _is_whole(place):
        return _passed(settings, place)
    copy = place.with_name(f".{place.name}.fresh")
    models = place.parent.stat()
    shutil.copytree(source, copy)
    for path in (copy, *sorted(copy.rglob("*"))):
        path.chmod(models.st_mode & (0o777 if path.is_dir() else 0o666))  # a scratch folder is often closed to the daemon's user
        with suppress(PermissionError):
            os.chown(path, models.st_uid, models.st_gid)
        sync_to_disk(path)
    parity = _passed(settings, copy)
    _remove(place)  # one that is there is damaged
    copy.rename(place)
    sync_to_disk(place.parent)
    return parity


def _passed(settings: StationSettings, folder: Path) -> Parity:
    parity = admit(settings, open_any(folder, settings.model))
    if not parity.is_compared:
        raise CheckpointError(f"{folder}: has no frozen set, so nothing shows that it answers as its source did")
    return parity


def _is_whole(place: Path) -> bool:
    """Tell whether a checkpoint and its frozen set are there, unaltered."""
    if verify_any(place):
        return False
    try:
        open_set(place / FOLDER)
    except CheckpointError:
        return False
    return True


def _remove(place: Path) -> None:
    """Remove a model's folder; a kill leaves it whole under its name, or without it."""
    if place.exists():
        gone = place.with_name(f".{place.name}.gone")
        place.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _sweep(models: Path, station: str) -> None:
    """Remove what a refusal or a kill has left of copying and removing."""
    for pattern in ("fresh", "gone"):
        for path in models.glob(f".{station}-*.{pattern}"):
            shutil.rmtree(path)
