"""Asking the assistant: a typed question, a recording or the picture in view, to a structured answer.

What would act becomes an order, which waits for a confirmation on a page of its own (``ordering``).
"""

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from datasette.utils.asgi import NotFound, Response

from inspector.dashboard import questions
from inspector.dashboard.answering import Visit
from inspector.dashboard.helping import HelpDesk, Told
from inspector.dashboard.pictures import picture_file
from inspector.dashboard.site import Shown
from inspector.dashboard.uploads import Upload, read_upload
from inspector.edge.assistance import AssistPayload
from inspector.errors import AssistError, CameraError, InspectorError

LONGEST_QUESTION = 300
"""Letters of a typed question."""
NEEDS = {"review": "review", "report": "review", "command": "command"}
"""Which right a person needs to confirm each kind of order."""
_ID = re.compile(r"[0-9a-f-]{36}")


async def assist(visit: Visit) -> Response:
    """Show the assistant; answer what was asked."""
    desk = visit.site.help_desk
    if desk is None:
        raise NotFound("There is no assistant here")
    if visit.request.method != "POST":
        return await _page(visit, visit.station())
    try:
        upload = await read_upload(visit.request)
    except ValueError as error:
        return await _page(visit, visit.station(), error=str(error), status=400)
    if is_forged(visit, upload.fields.get("csrftoken", "")):
        return Response.text("The form was not made by this dashboard, or its login is over: load the page anew", status=403)
    return await _answered(visit, desk, visit.station(upload.fields.get("station")), upload)


async def _answered(visit: Visit, desk: HelpDesk, station: Shown, upload: Upload) -> Response:
    """Return the answer as a page, or as JSON where that is wanted."""
    try:
        answer = await desk.answer(station.settings, station.root, await _told(visit, station, upload))
    except (ValueError, AssistError, CameraError) as error:
        return await _page(visit, station, upload, error=str(error), status=400)
    except InspectorError as error:
        return await _page(visit, station, upload, error=str(error), status=503)
    if "application/json" in visit.request.headers.get("accept", ""):
        return Response(answer.to_json(), content_type="application/json; charset=utf-8")
    return await _page(visit, station, upload, answer=answer, order=_order(visit, desk, answer))


def is_forged(visit: Visit, token: str) -> bool:
    """Return whether a form does not bear the token of this browser; Datasette looks only where there is a cookie."""
    return not secrets.compare_digest(token.encode(), visit.request.scope["csrftoken"]().encode())


async def _page(
    visit: Visit,
    station: Shown,
    upload: Upload | None = None,
    *,
    answer: AssistPayload | None = None,
    order: str | None = None,
    error: str = "",
    status: int = 200,
) -> Response:
    """Return the assistant's page, with an answer or what was wrong with the question."""
    fields = {} if upload is None else upload.fields
    wanted = None if answer is None else answer.needs_confirmation
    page = await visit.page(
        "assist.html", shown=station, station=station.settings.name, answer=answer, order=order, error=error,
        asked=fields.get("text", ""), part=_part(fields) or "", needs=None if wanted is None else NEEDS[wanted.action],
    )  # fmt: skip
    page.status = status
    return page


async def _told(visit: Visit, station: Shown, upload: Upload) -> Told:
    """Return what a form asks. Raises ``ValueError`` that says what is wrong with it."""
    text = " ".join(upload.fields.get("text", "").split())
    part, wants_picture = _part(upload.fields), bool(upload.fields.get("picture"))
    if len(text) > LONGEST_QUESTION:
        raise ValueError(visit.t("A question of at most {n} letters, please.", n=LONGEST_QUESTION))
    if text and upload.sound is not None:
        raise ValueError(visit.t("Type a question or say it, not both."))
    if not text and upload.sound is None and not wants_picture:
        raise ValueError(visit.t("Type or say a question, or let the picture be looked at."))
    picture, row = await _picture(visit, station, part) if wants_picture else (None, None)
    row = row or {}
    return Told(text or None, upload.sound, picture, row.get("product"), row.get("lot"), part)


async def _picture(visit: Visit, station: Shown, part: str | None) -> tuple[Path, questions.Row]:
    """Return the kept picture of a part, or of the newest one. Raises ``ValueError`` if there is none."""
    name = station.settings.name
    row = await visit.site.ask(station, lambda log: questions.inspection(log, name, part) if part else questions.newest(log, name))
    file = None if row is None else picture_file(station.log, row["image_path"], "picture")
    if row is None or file is None:
        raise ValueError(visit.t("The picture was not kept, or its time is over."))
    return file, row


def _part(fields: Mapping[str, str]) -> str | None:
    part = fields.get("part", "")
    return part if _ID.fullmatch(part) else None


def _order(visit: Visit, desk: HelpDesk, answer: AssistPayload) -> str | None:
    """Keep what the answer would do for its confirmation, if this user may confirm it."""
    wanted = answer.needs_confirmation
    if wanted is None or visit.user is None or not visit.may(NEEDS[wanted.action]):
        return None
    return desk.put(visit.user, answer)
