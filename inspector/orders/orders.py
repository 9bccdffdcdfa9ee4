"""Orders: what commands have changed, and how the frame loop carries them out between frames.

Pause: a frame that a triggered camera takes while the station is paused is logged as ``review`` with that reason, because no triggered
frame passes silently; frames of a free-running camera are left out and counted as dropped. A restart ends a pause and keeps product and
lot. A frame is judged by what held when it was taken, not when its turn came.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from inspector.core.frame import Frame
from inspector.core.in_view import InView
from inspector.core.inspection import Inspection
from inspector.edge.commands.doorman import Asker, Request
from inspector.edge.commands.payload import LotCommand, PauseCommand, ProductCommand, ReloadCommand, ResumeCommand, TriggerCommand
from inspector.edge.link import Link
from inspector.edge.recorder import Recorder
from inspector.edge.systemd import Systemd
from inspector.orders.reload import ReloadError, Rereading, reload
from inspector.orders.reviews import Reviews
from inspector.orders.triggers import Triggers, Waiting
from inspector.pipeline import Pipeline
from inspector.scene.watch import Event, Scenes

_AT_ONCE = 8
"""Commands that are carried out between two batches of frames at most."""
_TRIGGER_PATIENCE_S = 5.0
"""How long a trigger waits for its frame."""


class Cameras(Protocol):
    """The station's cameras, as far as commands reach them."""

    def trigger(self, camera: str) -> bool:
        """Ask a camera for one frame; return False if it delivers by itself. Never waits."""
        ...

    def leave_out(self, camera: str) -> None:
        """Count a frame that is not judged."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What orders are carried out on."""

    recorder: Recorder
    """Writes events and tells the state."""
    cameras: Cameras
    """The station's cameras."""
    link: Link | None
    """Where commands come from and answers go; None if there is none."""
    rereading: Rereading
    """How and when the settings are read anew."""
    systemd: Systemd
    """Hears of a reload."""


class Orders:
    """Carries out commands. Belongs to the frame loop's thread."""

    def __init__(self, pipeline: Pipeline, around: Surroundings) -> None:
        """Take up what an earlier run was told. Raises ``LogError``."""
        self.pipeline = pipeline
        """How frames are judged now."""
        self._around = around
        self._settings = around.recorder.settings
        self._paused: tuple[int, str] | None = None
        self._triggers = Triggers()
        self._scenes = Scenes()
        self._reviews = Reviews(around.recorder)
        self._in_view = self._recalled()
        self._show()

    def admit(self, frames: Sequence[Frame]) -> list[Frame]:
        """Return the frames that are to be judged, each with what holds for it."""
        admitted = []
        for frame in frames:
            if self._paused is None or frame.grabbed_ns < self._paused[0] or frame.fault is not None:
                admitted.append(self._triggers.matched(self._in_view.applied(frame)))
            elif self._around.recorder.settings.cameras[frame.camera].every_frame_counts:
                admitted.append(replace(self._in_view.applied(frame), fault=f"paused by command: {self._paused[1]}"))
            else:
                self._around.cameras.leave_out(frame.camera)
        return admitted

    def look(self, frames: Sequence[Frame]) -> Iterator[Event]:
        """Look at what the cameras see, by the references now in force; yield the warnings that begin or end (kind, detail)."""
        return self._scenes.look(frames, self.pipeline.calibrations)

    def logged(self, frame: Frame, inspection: Inspection) -> None:
        """Answer the trigger that a logged frame belongs to, and show the frame."""
        link = self._around.link
        if link is None:
            return
        request = self._triggers.answered(frame)
        if request is not None:
            link.answer(request.asker, "done", result=_verdict(inspection))
        link.offer(frame, inspection)

    def attend(self) -> None:
        """Carry out what has been asked for, and take in what people have reviewed. Raises ``LogError``."""
        self._reviews.attend(self.pipeline)
        if self._around.rereading.asked.is_set():
            self._around.rereading.asked.clear()
            self._reload_for_systemd()
        link = self._around.link
        if link is None:
            return
        for request in link.requests(_AT_ONCE):
            self._carry_out(request, link)
        for camera, late in self._triggers.overdue(time.monotonic_ns()):
            link.answer(late.asker, "failed", f"camera {camera} gave no frame within {_TRIGGER_PATIENCE_S:g} s")

    def _carry_out(self, request: Request, link: Link) -> None:
        match request.command:
            case TriggerCommand() as command:
                self._trigger(request, command, link)
            case PauseCommand() as command:
                self._pause(request, command.reason)
                link.answer(request.asker, "done")
            case ResumeCommand():
                link.answer(request.asker, "done", "" if self._paused is not None else "it was not paused")
                self._resume(request.asker.who)
            case ReloadCommand():
                self._reload(request.asker, link)
            case LotCommand(lot=lot):
                self._see(request, link, lot=lot)
            case ProductCommand(product=product):
                if product is not None and product not in self.pipeline.products:
                    known = ", ".join(self.pipeline.products)
                    link.answer(request.asker, "refused", f"{product!r} is not one of this station's products: {known}")
                    return
                self._see(request, link, product=product)

    def _trigger(self, request: Request, command: TriggerCommand, link: Link) -> None:
        cameras = list(self._around.recorder.settings.cameras)
        camera = command.camera or cameras[0]
        if camera not in cameras or (command.camera is None and len(cameras) > 1):
            link.answer(request.asker, "refused", f"camera: name one of {', '.join(cameras)}")
        elif self._paused is not None:
            link.answer(request.asker, "refused", f"the station is paused: {self._paused[1]}")
        elif not self._triggers.add(camera, Waiting(request, command, request.arrived_ns + round(1e9 * _TRIGGER_PATIENCE_S))):
            link.answer(request.asker, "refused", f"too many triggers wait for camera {camera}")
        else:
            self._around.cameras.trigger(camera)  # one that delivers by itself: its next frame is the one

    def _pause(self, request: Request, reason: str | None) -> None:
        why = f"{request.asker.who}: {reason}" if reason else request.asker.who
        self._paused = (request.arrived_ns if self._paused is None else self._paused[0], why)
        self._around.recorder.note("paused", why)

    def _resume(self, who: str) -> None:
        if self._paused is not None:
            self._paused = None
            self._around.recorder.note("resumed", f"by {who}")

    def _see(self, request: Request, link: Link, **what: str | None) -> None:
        """Change product or lot in view, first where it outlives a restart."""
        for key, value in what.items():
            self._around.recorder.log.remember(key, value)
        self._in_view = self._in_view.changed(request.arrived_ns, **what)
        self._show()
        link.answer(request.asker, "done", result={"product": self._product, "lot": self._in_view.lot})

    def _reload(self, asker: Asker, link: Link) -> None:
        try:
            link.answer(asker, "done", result=self._reloaded())
        except ReloadError as error:
            link.answer(asker, "failed", "nothing was changed; see mistakes", error.mistakes)

    def _reload_for_systemd(self) -> None:
        """Reload because of SIGHUP; the outcome goes to the log, the present settings stay if the new ones are wrong."""
        self._around.systemd.reloading()
        try:
            result = "; ".join(f"{key}: {', '.join(value)}" for key, value in self._reloaded().items() if value)
            self._around.recorder.note("reloaded", result or "nothing has changed")
        except ReloadError as error:
            self._around.recorder.note("reload-failed", f"nothing was changed: {error}")
        self._around.systemd.ready(f"running, model {self.pipeline.predictor.name}")

    def _reloaded(self) -> dict[str, list[str]]:
        """Read everything anew and use it; return what changed. Raises ``ReloadError``."""
        found = reload(self.pipeline, self._settings, self._around.recorder.settings, self._around.rereading.reread)
        self.pipeline, self._settings = found.pipeline, found.settings
        self._show()
        return {"changed": list(found.changed), "needs_restart": list(found.needs_restart)}

    def _recalled(self) -> InView:
        """Return what an earlier run was told; a product that is no more is forgotten."""
        recorder = self._around.recorder
        known = recorder.log.recall()
        product = known.get("product")
        if product is not None and product not in self.pipeline.products:
            recorder.note("product-unknown", f"{product} was set by command and is no product of the settings any more: forgotten")
            recorder.log.remember("product", None)
            product = None
        return InView(product, known.get("lot"))

    @property
    def _product(self) -> str:
        return self._in_view.product or self.pipeline.default_product

    def _show(self) -> None:
        """Tell product and lot in view with the status."""
        if self._around.recorder.publisher is not None:
            self._around.recorder.publisher.show(self._product, self._in_view.lot)


def _verdict(inspection: Inspection) -> dict[str, Any]:
    """Return the fields of the answer to a trigger."""
    return {
        "inspection_id": inspection.inspection_id,
        "seq": inspection.seq,
        "evaluation": inspection.verdict.evaluation,
        "disposition": inspection.verdict.disposition,
        "label": inspection.label,
        "confidence": None if inspection.confidence is None else round(inspection.confidence, 6),
        "reason": inspection.verdict.reason,
        "part_id": inspection.part_id,
        "lot": inspection.lot,
        "frame_id": inspection.frame_id,
        "frame_age_ms": round(inspection.frame_age_ms, 3),
    }
