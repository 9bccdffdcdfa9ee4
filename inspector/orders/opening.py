"""``open_link``: from a station's settings to a running link, or none if there is nothing for it to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.core.inspection import Inspection
from inspector.edge.extras.showcase import Metrics
from inspector.edge.health.figures import ReadFigures
from inspector.edge.link import Link, LinkRules
from inspector.edge.messages import metrics_message, result_message
from inspector.edge.outbox import Message
from inspector.edge.topics import Topics
from inspector.settings import StationSettings


@contextmanager
def open_link(
    settings: StationSettings, database: Path, tell: Callable[[str, str], None], nudge: Callable[[], None], figures: ReadFigures
) -> Iterator[Link | None]:
    """Run the link, if commands are allowed or optional outputs or figures wanted.

    ``tell`` takes kind and detail of an event, ``nudge`` hears that a command waits for the frame loop: neither may wait.
    ``figures`` gives those of the station.

    Raises ``PublishError`` if password or keys cannot be used.
    """
    topics = Topics.of(settings)

    def metrics() -> Message:
        return metrics_message(figures(), topics)

    rules = LinkRules(settings.mqtt, settings.commands, settings.extras, Metrics(settings.health.metrics_every_s, metrics))
    if not rules.is_needed:
        yield None
        return
    labels = {name: product.label_set() for name, product in settings.products.items()}

    def message(inspection: Inspection) -> Message:
        return result_message(inspection, topics, labels.get(inspection.product))

    link = Link(rules, topics, database, message=message, tell=tell, nudge=nudge, base=settings.folder)
    link.start()
    try:
        yield link
    finally:
        link.stop()
