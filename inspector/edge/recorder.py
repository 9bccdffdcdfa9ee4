"""The recorder: writes inspections and events to the log together with their messages, and wakes the publisher.

It lives in the frame loop's thread, which owns the log's connection.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Frame
from inspector.core.inspection import Inspection
from inspector.edge.ailing import Ailing
from inspector.edge.disk.room import Room
from inspector.edge.health.tally import Tally
from inspector.edge.log import Event, Log
from inspector.edge.messages import event_message, result_message, review_message
from inspector.edge.outbox import Message
from inspector.edge.pictures import PictureStore
from inspector.edge.publisher import Publisher
from inspector.edge.settling import Settled
from inspector.edge.spoken import spoken
from inspector.edge.topics import Topics
from inspector.errors import DiskFull, LogError, PredictionError
from inspector.settings import StationSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes what has been judged and what has happened."""

    log: Log
    """The station's log, opened by this thread."""
    publisher: Publisher | None
    """Who carries the outbox away; None if MQTT is off."""
    settings: StationSettings
    """The station."""
    pictures: PictureStore
    """Where kept pictures go."""
    tally: Tally
    """What has been done."""
    say: Callable[[str], None]
    """Gets one line for each thing an operator should know."""
    show: Callable[[Frame, Inspection], None] = lambda _frame, _inspection: None
    """Gets each frame and what was logged of it: for optional outputs and commands; must not wait or fail."""

    explain: Callable[[Frame, Inspection], Mapping[str, NDArray[np.float32]]] = lambda _frame, _inspection: {}
    """Tells which places of a frame spoke for the label of each region; asked only where such heat maps are kept."""

    ailing: Ailing = field(default_factory=Ailing)
    """What is at fault while the station goes on."""
    room: Room | None = None
    """What is done about a full disk; None stops the station at once."""

    def record(self, frames: Sequence[Frame], inspections: Sequence[Inspection]) -> None:
        """Log inspections with their messages, in order; what is in the log already stays as it is.

        Raises ``LogError``: an unlogged verdict must stop the station.
        """
        for frame, judged in zip(frames, inspections, strict=True):
            if self.log.get(judged.inspection_id) is not None:
                continue  # a watched folder delivers its old files again after a restart: logged, counted and kept once
            kept = self._with_picture(judged, frame)
            logged = self._with_room(partial(self.log.append, kept, self._result if self.publisher else None))
            self.tally.add(logged, (time.monotonic_ns() - frame.grabbed_ns) / 1e6)
            self._wake()
            self.show(frame, logged)

    def _with_room(self, write: Callable[[], T]) -> T:
        """Write to the log; on a full disk clear up first. Raises ``DiskFull`` if nothing is left that may go."""
        try:
            return write()
        except DiskFull:
            if self.room is None:
                raise
            swept = self.room.make()
        written = write()
        self.note("disk-cleared", str(swept))
        return written

    def settle(self, settled: Settled) -> bool:
        """Log a review with its report and its message; return False if it was logged before. Raises ``LogError``."""
        topics = Topics.of(self.settings)
        message = partial(review_message, topics=topics) if self.publisher else None
        is_new = self._with_room(partial(self.log.settle, settled, message))
        if is_new:
            review, judged = settled.review, settled.inspection
            said = "confirms" if settled.agrees else f"says {review.label or 'that it cannot be told'} instead of"
            self.note("reviewed", f"{review.reviewer} {said} {judged.label or 'a fault'}, number {judged.seq}")
        return is_new

    def note(self, kind: str, detail: str) -> None:
        """Log an event, queue its message and say it."""
        self.say(spoken(self.settings, kind, detail))
        self._with_room(partial(self.log.event, kind, detail, self._event if self.publisher else None))
        self.ailing.hear(kind, detail)
        self._show_state()
        self._wake()

    def _show_state(self) -> None:
        """Tell the state; while something is at fault ``running`` is told as ``degraded``."""
        self.tally.told = self.ailing.told
        if self.publisher is not None and self.ailing.state != "starting":
            self.publisher.status(*self.ailing.told)

    def _with_picture(self, judged: Inspection, frame: Frame) -> Inspection:
        """Keep the picture if the rules say so. A picture that cannot be kept is told once and costs no verdict."""
        if not self.pictures.wants(judged, frame):
            return judged
        try:
            nats = self.explain(frame, judged) if self.pictures.wants_label_map(judged) else {}
            kept = replace(judged, image_path=self.pictures.keep(judged, frame, nats))
        except (LogError, PredictionError) as error:
            if not self.tally.is_losing_pictures:
                self.tally.is_losing_pictures = True
                self.note("pictures-lost", str(error))
            return judged
        if self.tally.is_losing_pictures:
            self.tally.is_losing_pictures = False
            self.note("pictures-back", "pictures are kept again")
        return kept

    def _result(self, inspection: Inspection) -> Message:
        return _result_of(self.settings, inspection)

    def _event(self, event: Event) -> Message:
        return event_message(event, Topics.of(self.settings))

    def _wake(self) -> None:
        if self.publisher is not None:
            self.publisher.wake()


def rebuild_for(settings: StationSettings) -> Callable[[Inspection], Message] | None:
    """Return what makes the message about a logged inspection, None if the station publishes nothing."""
    return partial(_result_of, settings) if settings.mqtt.enabled else None


def _result_of(settings: StationSettings, inspection: Inspection) -> Message:
    product = settings.products.get(inspection.product)
    return result_message(inspection, Topics.of(settings), product.label_set() if product else None)
