"""``open_publisher``: the publisher of a station for as long as it runs; without MQTT only the lock that keeps a second daemon out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.edge.lock import StationLock
from inspector.edge.publisher import Publisher
from inspector.edge.spoken import spoken
from inspector.edge.topics import Topics
from inspector.errors import InspectorError
from inspector.settings import StationSettings


@contextmanager
def open_publisher(settings: StationSettings, path: Path, say: Callable[[str], None]) -> Iterator[Publisher | None]:
    """Run the publisher; at the end give the outbox its time to empty, and tell why the station stops if a fault ended it.

    Raises ``LogError`` if another daemon of this station runs, ``PublishError`` if password or keys cannot be used.
    """
    if not settings.mqtt.enabled:
        lock = StationLock(path)
        lock.acquire()
        try:
            yield None
        finally:
            lock.release()
        return
    birth = {
        "products": {name: list(section.labels) for name, section in settings.products.items()},
        "cameras": list(settings.cameras),
        "checkpoint": settings.model.checkpoint,
        "commands": list(settings.commands.allow),
    }
    publisher = Publisher(settings.mqtt, Topics.of(settings), path, birth, base=settings.folder)
    publisher.start()
    reason = ""
    try:
        yield publisher
    except InspectorError as error:
        reason = str(error)
        publisher.status("fault", reason)
        raise
    finally:
        try:
            if not publisher.drain(settings.health.stop_timeout_s / 2):
                waiting = f"{publisher.depth} message(s) wait in the outbox; they are published at the next start"
                say(spoken(settings, "outbox-waiting", waiting))
        finally:
            publisher.stop(reason)
