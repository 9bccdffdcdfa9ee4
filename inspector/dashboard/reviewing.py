"""Reviewing: an operator confirms or corrects a verdict, draws where the defect is, adds a sentence, and signs by being logged in.

What is signed goes as a slip to the daemon, which logs and publishes it. Until then the page says that it waits.
"""

import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import suppress

from datasette.utils.asgi import NotFound, Response
from pydantic import ValidationError

from inspector.core.review import Review
from inspector.dashboard import questions
from inspector.dashboard.answering import Visit
from inspector.dashboard.exporting import Table
from inspector.dashboard.learning import RECENT, agreement, drift, gained, signed
from inspector.dashboard.site import Shown
from inspector.edge.instants import now
from inspector.edge.review_slips import LONGEST_NOTE, drop, read_slip, slip_folder, waiting
from inspector.errors import LogError

UNKNOWN = "?"
"""What the form sends where nobody can tell the label."""
_SHOWN = 50
_EXPORTED = 2000


async def review(visit: Visit) -> Response:
    """Take a review in and go on to the next one in doubt."""
    station = visit.station(visit.request.url_vars["station"])
    if visit.request.method != "POST":  # anything else passes by the protection against forged forms
        return Response.text("A review is sent with its form", status=405, headers={"allow": "POST"})
    if not visit.may("review"):
        return await _refused(visit, visit.t("Only users with the right to review may sign one."), 403)
    form = await visit.request.post_vars()
    row = await visit.site.ask(
        station, lambda log: questions.inspection(log, station.settings.name, visit.request.url_vars["inspection_id"])
    )
    if row is None:
        raise NotFound(visit.t("There is no such verdict."))
    try:
        slip = new_review(station, row, form, str(visit.user))
        drop(slip_folder(station.log, station.settings.name), slip)
    except ValidationError:
        return await _refused(visit, visit.t("A sentence of at most {n} letters on one line, please.", n=LONGEST_NOTE), 400)
    except ValueError as error:
        return await _refused(visit, str(error), 400)
    except LogError as error:
        return await _refused(visit, str(error), 503)
    return Response.redirect(f"/-/reviews?station={station.settings.name}&signed={row['seq']}", status=303)


async def learning(visit: Visit) -> Response:
    """Show agreement, drift, and whether training again would pay."""
    station = visit.station()
    name, limit = station.settings.name, _EXPORTED if visit.request.args.get("format") else _SHOWN
    found = await visit.site.ask(station, lambda log: (agreement(log, name), drift(log, name), signed(log, name, limit)))
    agreements, moved, rows = found or ([], None, [])
    columns = ("reviewed_at", "reviewer", "seq", "part_id", "lot", "judged_label", "label", "note", "model", "inspection_id")
    table = Table(columns, [tuple(row[column] for column in columns) for row in rows])
    return await visit.page(
        "learning.html", table, agreements=agreements, drift=moved, rows=rows, gained=gained(station.root, station.settings),
        station=name, shown=station, product=station.settings.default_product, recent=RECENT,
    )  # fmt: skip


def slips(station: Shown, known: sqlite3.Connection) -> dict[str, Review]:
    """Return the reviews that wait for the daemon, by inspection; slips that are logged are cleared away."""
    folder = slip_folder(station.log, station.settings.name)
    found = {}
    for name in waiting(folder):
        if known.execute("SELECT 1 FROM reviewed WHERE review_id = ?", (name.removesuffix(".json"),)).fetchone():
            with suppress(OSError):  # another page was quicker
                (folder / name).unlink()
            continue
        try:
            slip = read_slip(folder / name)
        except LogError:
            continue  # the daemon tells of it
        found[slip.inspection_id] = slip
    return found


def new_review(station: Shown, row: questions.Row, form: Mapping[str, str], user: str) -> Review:
    """Return what a form says. Raises ``ValueError`` if it is no review of this product."""
    product = station.settings.products.get(row["product"])
    label = form.get("label", "")
    if product is None or (label != UNKNOWN and label not in product.labels):
        raise ValueError("choose one of the product's labels")
    return Review(
        review_id=str(uuid.uuid4()),
        station=station.settings.name,
        inspection_id=row["inspection_id"],
        reviewer=user,
        reviewed_at=now(),
        label=None if label == UNKNOWN else label,
        note=" ".join(form.get("note", "").split()),
        box_px=_box(row, form.get("box", "")),
    )


def _box(row: questions.Row, text: str) -> tuple[int, int, int, int] | None:
    """Return the box that was drawn. Raises ``ValueError`` if it does not lie in the picture."""
    if not text:
        return None
    numbers = [int(word) for word in text.split(",") if word.strip().isdecimal()]
    if len(numbers) != 4:
        raise ValueError("a region has four numbers: x, y, width, height")
    x, y, width, height = numbers
    if width < 1 or height < 1 or x + width > row["width_px"] or y + height > row["height_px"]:
        raise ValueError("the region must lie in the picture")
    return x, y, width, height


async def _refused(visit: Visit, text: str, status: int) -> Response:
    page = await visit.page("trouble.html", title="The review was not kept", text=text)
    page.status = status
    return page
