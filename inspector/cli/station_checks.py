"""The checks of what lies on this machine: calibration, model, labels, report encoder, cameras, disk and log."""

import difflib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from inspector.cli.findings import Found, Subject, error_lines, fault, note, ok
from inspector.cli.full_model_checks import FULL_KEYS, check_full_model, idle_keys
from inspector.core.calibration import CameraCalibration
from inspector.core.decision_calibration import DecisionCalibration
from inspector.core.frame import Frame
from inspector.errors import CalibrationError, CheckpointError, InspectorError
from inspector.settings import read_camera_calibration, read_camera_calibrations, read_decisions


def check_decision(subject: Subject) -> Iterator[Found]:
    """Read decision.toml and hold its tables against the station's products."""
    measured = read_decisions(subject.folder)
    yield from strangers(subject.folder / "decision.toml", measured, subject.settings.products, "products")
    for product in subject.settings.products:
        if product not in measured:
            yield note(f"{product}: no thresholds were fitted, defaults hold; fit them: inspector calibrate decision")
            continue
        used = subject.settings.override(measured[product])
        thresholds = f"pass_above {used.pass_above:.12g}, fail_above {used.fail_above:.12g}, fitted on {used.fitted_on} pictures"
        yield ok(f"{product}: {thresholds}, {_promise(measured[product], used)}")


def _promise(fitted: DecisionCalibration, used: DecisionCalibration) -> str:
    """Return what a product's thresholds promise, in words."""
    if used.target_escape is not None:
        sure = "" if used.confidence is None else f" with {100 * used.confidence:g} % confidence"
        return f"at most {100 * used.target_escape:g} % of defective parts pass{sure}"
    return "no escape rate is promised" if fitted.target_escape is None else "[decision] in station.toml voids the promise"


def check_camera_calibration(subject: Subject) -> Iterator[Found]:
    """Read camera.toml and hold its tables against the station's cameras."""
    measured = read_camera_calibrations(subject.folder)
    yield from strangers(subject.folder / "camera.toml", measured, subject.settings.cameras, "cameras")
    for camera in subject.settings.cameras:
        if camera not in measured:
            yield note(
                f"{camera}: not calibrated, pictures are judged as they come; inspector calibrate camera measures lens, scale and light"
            )
            continue
        lens = "lens corrected" if measured[camera].camera_matrix else "lens not corrected"
        scale = measured[camera].mm_per_px
        light = ", light evened out" if measured[camera].flat_field else ""
        yield ok(f"{camera}: {lens}, {f'{scale:g} mm a pixel' if scale else 'scale unknown'}{light}, {_watched(measured[camera])}")


def _watched(calibration: CameraCalibration) -> str:
    """Return which warnings a camera's reference allows, in words."""
    if calibration.reference is None:
        return "no reference: a moved camera is not told"
    return "a move and a change of light are told" if calibration.reference.tiles else "a change of light is told, a move cannot be seen"


def check_model(subject: Subject) -> Iterator[Found]:
    """Check the model's files against their hashes and what runs it: execution providers, or memory and precision."""
    from inspector.vlm.full_checkpoint import FullCheckpoint  # noqa: PLC0415 - one broken part must not stop the other checks
    from inspector.vlm.opening import open_any, verify_any  # noqa: PLC0415 - as above

    faults = verify_any(subject.model_folder)
    yield from map(fault, faults)
    if not faults:
        checkpoint = open_any(subject.model_folder, subject.settings.model)
        if isinstance(checkpoint, FullCheckpoint):
            yield from check_full_model(checkpoint, subject.settings.model)
            return
        yield ok(f"{checkpoint.name}@{checkpoint.revision}: {len(checkpoint.files)} files, hashes right")
        yield from idle_keys(subject.settings.model, FULL_KEYS, "inspector-edge")
    import onnxruntime  # noqa: PLC0415 - as above

    available = onnxruntime.get_available_providers()
    for provider in subject.settings.model.providers:
        if provider not in available:
            yield fault(f'model.providers: "{provider}" is not in this build of ONNX Runtime; available: {", ".join(available)}')


def check_parity(subject: Subject) -> Iterator[Found]:
    """Let the model judge its frozen sets, unless it has passed on this machine already; nothing is written."""
    from inspector.edge.log import database_path  # noqa: PLC0415 - as in check_model
    from inspector.vlm.opening import open_any, open_predictor, verify_any  # noqa: PLC0415 - as in check_model
    from inspector.vlm.parity import check_parity, memory_of, open_gate  # noqa: PLC0415 - as in check_model

    if verify_any(subject.model_folder):
        yield note("not checked: the model's files are at fault")
        return
    model = subject.settings.model
    checkpoint = open_any(subject.model_folder, model)
    try:
        passed = check_parity(
            open_gate(checkpoint, subject.settings),
            lambda: open_predictor(checkpoint, model),
            memory_of(database_path(subject.settings, subject.root)),
            keep=False,
        )
    except CheckpointError as error:
        head, *rest = str(error).splitlines()
        yield fault(head)
        yield from (note(line.strip()) for line in rest)
        return
    if passed.is_compared:
        yield ok(passed.text.removeprefix("parity: "))
    yield from map(note, passed.notes)


def check_promise(subject: Subject) -> Iterator[Found]:
    """Hold the model that judged the pictures of each fit against the model in use: another one keeps no promise."""
    from inspector.vlm.opening import open_any, verify_any  # noqa: PLC0415 - as in check_model

    if verify_any(subject.model_folder):
        yield note("not checked: the model's files are at fault")
        return
    checkpoint = open_any(subject.model_folder, subject.settings.model)
    name, promised = f"{checkpoint.name}@{checkpoint.revision}", 0
    try:
        decisions = read_decisions(subject.folder)
    except CalibrationError:  # told by check_decision
        yield note("not checked: decision.toml is at fault")
        return
    for product, fitted in decisions.items():
        if fitted.target_escape is None or product not in subject.settings.products:
            continue
        promised += 1
        if fitted.under(name).target_escape is None:
            yield note(f"{product}: fitted with {fitted.model}, {name} keeps no promise; inspector calibrate decision fits anew")
        else:
            yield ok(f"{product}: fitted with the model in use")
    if not promised:
        yield ok("no escape rate is promised")


def check_labels(subject: Subject) -> Iterator[Found]:
    """Write every label in the model's vocabulary and see that no two read the same."""
    from inspector.vlm.opening import open_any, verify_any  # noqa: PLC0415 - as in check_model
    from inspector.vlm.prompt import label_trie, unspeakable  # noqa: PLC0415 - as in check_model

    if verify_any(subject.model_folder):
        yield note("not checked: the model's files are at fault")
        return
    tokenizer = open_any(subject.model_folder, subject.settings.model).tokenizer()
    for name, product in subject.settings.products.items():
        faults = unspeakable(tokenizer, product.labels)
        yield from (fault(f"products.{name}: {line}") for line in faults)
        if not faults:
            label_trie(tokenizer, product.label_set())
            good = f"good is {product.good}" if product.good else "no label means good, so nothing can pass"
            yield ok(f"{name}: {len(product.labels)} labels, {good}")


def check_encoder(subject: Subject) -> Iterator[Found]:
    """Open the report encoder, encode a text and compare it with what the model's projector was trained on."""
    from inspector.vlm.encoder import open_encoder  # noqa: PLC0415 - as in check_model
    from inspector.vlm.opening import open_any, verify_any  # noqa: PLC0415 - as in check_model

    if subject.settings.reports.max_reports == 0:
        yield note("reports.max_reports is 0: the model reads no reports")
        return
    encoder = open_encoder(subject.settings.encoder, subject.root / "models")
    width = encoder.encode(["pitting on the left flank"]).shape[1]
    if not verify_any(subject.model_folder):
        checkpoint = open_any(subject.model_folder, subject.settings.model)
        if not checkpoint.encoder:
            yield note(f"{checkpoint.name} has no report projector: reports are off (docs/full-model.md)")
            return
        if (checkpoint.encoder, checkpoint.report_width) != (encoder.revision, width):
            yield fault(
                f"{encoder.revision} gives {width} numbers, {checkpoint.name} was trained with {checkpoint.encoder} and"
                f" {checkpoint.report_width}; set reports.encoder to that one"
            )
            return
    yield ok(f"{encoder.revision}: {width} numbers a text")


def check_cameras(subject: Subject) -> Iterator[Found]:
    """Open every camera and read one frame."""
    for name in subject.settings.cameras:
        try:
            yield from _check_camera(subject, name)
        except InspectorError as error:
            yield from (fault(f"{name}: {line}") for line in error_lines(error))


def check_disk(subject: Subject) -> Iterator[Found]:
    """Compare the free space where the log will lie with log.min_free_bytes."""
    from inspector.edge.log import database_path  # noqa: PLC0415 - as in check_model

    place = _existing(database_path(subject.settings, subject.root).absolute().parent)
    free, least = shutil.disk_usage(place).free, subject.settings.log.min_free_bytes
    if free < least:
        yield fault(
            f"{place}: {_megabytes(free)} free, log.min_free_bytes asks for {_megabytes(least)}; free space or set log.path to another disk"
        )
    else:
        yield ok(f"{place}: {_megabytes(free)} free")


def check_log(subject: Subject) -> Iterator[Found]:
    """Open the log and take its write lock, or see that it could be made."""
    from inspector.edge.log import database_path  # noqa: PLC0415 - as in check_model
    from inspector.edge.schema import open_database, transaction  # noqa: PLC0415 - as in check_model
    from inspector.edge.sqlite_errors import as_log_error  # noqa: PLC0415 - as in check_model

    path = database_path(subject.settings, subject.root)
    if not path.exists():
        place = _existing(path.absolute().parent)
        writable = place.is_dir() and os.access(place, os.W_OK)
        yield (
            note(f"{path}: not there yet, the first start makes it")
            if writable
            else fault(f"{path}: cannot be made, {place} is no folder that this user may write; set log.path or its permissions")
        )
        return
    database = open_database(path, busy_timeout_ms=2000)
    try:
        with as_log_error(path, "write to the log"), transaction(database):
            counts = {table: database.table(table).count for table in ("inspections", "outbox", "reports")}
    finally:
        database.close()
    yield ok(f"{path}: {counts['inspections']} inspections, {counts['outbox']} rows in the outbox, {counts['reports']} reports")


def _check_camera(subject: Subject, name: str) -> Iterator[Found]:
    """Open one camera, read one frame and lay the regions over it."""
    from inspector.edge.camera import CountsPackets, SoftwareTriggered, open_camera  # noqa: PLC0415 - as in check_model

    section = subject.settings.cameras[name]
    patience_s = section.read_timeout_s + (section.open_timeout_s if section.is_live else 0.0)
    began = time.monotonic()
    camera = open_camera(name, section, station=subject.settings.name, base=subject.folder)
    try:
        if isinstance(camera, SoftwareTriggered):
            camera.read(0.0)  # opens it
            camera.trigger()
        frame = camera.read(patience_s)
        is_over = camera.finished
    finally:
        camera.close()
    if frame is None and is_over:
        yield fault(f"{name}: opens, but there is no picture in it; put some there, or set watch = true to wait for them")
    elif frame is None:
        yield note(f"{name}: opens, but no picture came within {patience_s:g} s; is anything put there, or triggered?")
    elif frame.fault is not None:
        yield fault(f"{name}: {frame.fault}")
    else:
        height, width = frame.image.shape[:2]
        packets = f", {camera.lost_packets} packets lost" if section.kind == "genicam" and isinstance(camera, CountsPackets) else ""
        yield ok(f"{name}: {width}x{height} pixels after {(time.monotonic() - began) * 1000:.0f} ms{packets}")
        yield from _judge_regions(subject, name, frame)


def _judge_regions(subject: Subject, camera: str, frame: Frame) -> Iterator[Found]:
    """Lay the regions over a picture and say which of them could not be judged."""
    from inspector.preprocess import correct, quality_fault  # noqa: PLC0415 - as in check_model

    height, width = frame.image.shape[:2]
    calibration = read_camera_calibration(subject.folder, camera)
    image = correct(frame, calibration)
    for region in subject.settings.region_list():
        x, y, w, h = region.box_px or (0, 0, width, height)
        if x >= width or y >= height:
            yield fault(f"{camera}: regions.{region.name} lies outside the picture of {width}x{height} pixels; correct its box_px")
            continue
        if x + w > width or y + h > height:
            yield note(f"{camera}: regions.{region.name} is cut by the edge of the picture of {width}x{height} pixels; correct its box_px")
        if poor := quality_fault(region.crop(image), subject.settings.quality, calibration):
            yield note(f"{camera}: {region.name} of this picture would go to review: {poor}")


def strangers(path: Path, measured: Iterable[str], known: Iterable[str], kind: str) -> Iterator[Found]:
    """Find measured tables that no product or camera will ever ask for: a misspelt name would be ignored in silence."""
    names = list(known)
    for name in measured:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            yield fault(
                f"{path}: [{name}] is none of the station's {kind}; "
                + (f"did you mean [{near[0]}]?" if near else f"there are: {', '.join(names)}")
            )


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
