"""Orders: what somebody has said or typed that would act. It is shown in words and done once, after a click by who asked for it.

A mark or a report is signed as a review (``reviewing``); a command goes to the station over its broker like anybody's (docs/mqtt.md).
"""

import asyncio

from datasette.utils.asgi import NotFound, Response

from inspector.dashboard import questions
from inspector.dashboard.answering import Visit
from inspector.dashboard.asking import NEEDS, is_forged
from inspector.dashboard.helping import ORDER_S, HelpDesk, Order
from inspector.dashboard.reviewing import new_review
from inspector.edge.commands.payload import command_models
from inspector.edge.review_slips import drop, slip_folder
from inspector.errors import LogError, PublishError
from inspector.settings import Verb

_WHAT = {
    "pause": "The station judges no more parts until it is told to resume.",
    "resume": "The station judges parts again.",
    "reload": "The station reads its settings and calibration anew.",
    "trigger": "The station takes one picture now and judges it.",
    "snapshot": "The newest judged picture is published.",
    "lot": "Parts that name no lot are counted to lot {lot} from now on.",
    "product": "Parts that name no product are judged as {product} from now on.",
}
_OUTCOME = {
    "done": "The station has done it.",
    "accepted": "The station has begun with it.",
    "refused": "The station refuses it; nothing was done.",
    "failed": "The station has tried in vain.",
}


async def order(visit: Visit) -> Response:
    """Show what an order would do; do it once it is confirmed."""
    desk, name = visit.site.help_desk, visit.request.url_vars["order"]
    found = None if desk is None else desk.order(name, visit.user)
    if desk is None or found is None:
        raise NotFound(visit.t("This order is done, too old or another's. Ask again."))
    if visit.request.method != "POST":
        return await _page(visit, found)
    form = await visit.request.post_vars()
    if is_forged(visit, form.get("csrftoken", "")):
        return Response.text("The form was not made by this dashboard: load the page anew", status=403)
    if not visit.may(NEEDS[found.wanted.action]):
        return await _page(visit, found, told=visit.t("You may not confirm this."), status=403)
    if form.get("decision") != "confirm":
        desk.take(name, visit.user)
        return await _page(visit, found, told=visit.t("Cancelled. Nothing was done."))
    return await _confirmed(visit, desk, name)


async def _confirmed(visit: Visit, desk: HelpDesk, name: str) -> Response:
    """Carry an order out: it is taken first, so that a second click finds none."""
    found = desk.take(name, visit.user)
    if found is None:  # the other click was quicker
        raise NotFound(visit.t("This order is done, too old or another's. Ask again."))
    try:
        told, is_done = await (_commanded(visit, desk, found) if found.wanted.action == "command" else _signed(visit, found))
    except (PublishError, LogError, ValueError) as error:
        return await _page(visit, found, told=f"{visit.t('It was not done')}: {error}", status=503)
    return await _page(visit, found, told=told, is_done=is_done)


async def _commanded(visit: Visit, desk: HelpDesk, found: Order) -> tuple[str, bool]:
    """Send a command; return what the station says, and whether it was done."""
    settings = visit.station(found.station).settings
    reply = await asyncio.to_thread(desk.send, settings, _verb(found), found.wanted.payload, str(visit.user))
    if reply is None:
        return visit.t("It was sent, and no answer came: nobody can tell whether it was done. Look at the station."), False
    reason = "; ".join(filter(None, (reply.reason, *reply.mistakes)))
    return visit.t(_OUTCOME[reply.outcome]) + (f" {reason}" if reason else ""), reply.outcome in {"done", "accepted"}


async def _signed(visit: Visit, found: Order) -> tuple[str, bool]:
    """Sign a review. Raises ``ValueError`` if the part or its label is not there any more, ``LogError`` if it cannot be kept."""
    station, wanted = visit.station(found.station), found.wanted.payload
    row = await visit.site.ask(station, lambda log: questions.inspection(log, found.station, str(found.inspection_id)))
    if row is None:
        raise ValueError(visit.t("There is no such verdict."))
    slip = new_review(station, row, {"label": str(wanted["label"])}, str(visit.user))
    await asyncio.to_thread(drop, slip_folder(station.log, found.station), slip)
    return visit.t("Signed: {seq}. The station takes it in within a second, if it runs.", seq=row["seq"]), True


async def _page(visit: Visit, found: Order, *, told: str = "", is_done: bool = False, status: int = 200) -> Response:
    station = visit.station(found.station)
    page = await visit.page(
        "order.html", order=found, what=_what(visit, found), told=told, is_done=is_done, minutes=round(ORDER_S / 60),
        station=found.station, shown=station,
    )  # fmt: skip
    page.status = status
    return page


def _what(visit: Visit, found: Order) -> str:
    """Return what would happen, in the reader's language."""
    wanted = found.wanted
    if wanted.action == "command":
        return visit.t(_WHAT[_verb(found)], **wanted.payload)
    station = visit.station(found.station)
    product = next((name for name, one in station.settings.products.items() if wanted.payload["label"] in one.labels), "")
    label = station.label(product, wanted.payload["label"], visit.language)
    return visit.t(
        "A review is signed in your name: {label}. The verdict stays as it is; the next parts of the lot are judged with this as a report.",
        label=label,
    )


def _verb(found: Order) -> Verb:
    named = str(found.wanted.topic).rpartition("/")[2]
    return next(verb for verb in command_models() if verb == named)
