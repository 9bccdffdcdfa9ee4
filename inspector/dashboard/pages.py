"""The pages: live wall, defects, open reviews, why this verdict, reports, health; and the pictures and the stream that they show."""

import asyncio
import json
import sqlite3
from typing import TypeAlias, get_args

from datasette.utils.asgi import NotFound, Request, Response

from inspector.core.latency import Latencies
from inspector.core.review import Review
from inspector.dashboard import questions
from inspector.dashboard.answering import HOURS, Visit, answered
from inspector.dashboard.asking import assist
from inspector.dashboard.exporting import Table
from inspector.dashboard.live import PERIOD_S, Watch, as_event, box_px, tile
from inspector.dashboard.ordering import order
from inspector.dashboard.pictures import kinds_of, picture_file
from inspector.dashboard.reviewing import UNKNOWN, learning, review, slips
from inspector.dashboard.site import Site
from inspector.edge.health.condition import look
from inspector.edge.payload import Payload
from inspector.edge.review_slips import LONGEST_NOTE

Opinions: TypeAlias = tuple[list[questions.Row], Review | None, dict[str, tuple[float, float]]]
"""What people have signed about a verdict, what waits for the daemon, and how much each report weighed."""
_SHOWN = 50
"""Rows of a list on a page; its export has more."""
_EXPORTED = 2000
_HEARTBEAT_S = 2.0
"""A screen that hears nothing for some of these knows that it shows the past."""
_BARS = 30


async def wall(visit: Visit) -> Response:
    """Show what every station judged last, and how it is."""
    return await visit.page("wall.html", stream=f"/-/events?lang={visit.language}", page_s=_HEARTBEAT_S)


async def stream(request: Request, datasette: Site, receive: object, send: object) -> None:
    """Push tiles to a screen as long as it listens (server-sent events)."""
    visit = Visit.of(request, datasette)
    gone = asyncio.ensure_future(_gone(receive))
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator] # an ASGI callable
    seen: list[int] = []
    quiet_s = _HEARTBEAT_S
    try:
        while not gone.done():
            watches = datasette.watches
            glances = [(watch, await watch.look()) for watch in watches.values()]
            versions = [watch.version for watch in watches.values()]
            if versions != seen or quiet_s >= _HEARTBEAT_S:
                tiles = [tile(watch.station, glance, visit.language) for watch, glance in glances]
                await send({"type": "http.response.body", "body": as_event(tiles), "more_body": True})  # type: ignore[operator] # as above
                seen, quiet_s = versions, 0.0
            await asyncio.wait([gone], timeout=PERIOD_S)
            quiet_s += PERIOD_S
    finally:
        gone.cancel()


async def _gone(receive: object) -> None:
    """Wait until the screen has gone away."""
    while (await receive())["type"] != "http.disconnect":  # type: ignore[operator] # an ASGI callable
        pass


async def picture(request: Request, datasette: Site) -> Response:
    """Hand out a kept picture or heat map."""
    visit = Visit.of(request, datasette)
    station = visit.station(request.url_vars["station"])
    row = await datasette.ask(station, lambda log: questions.inspection(log, station.settings.name, request.url_vars["inspection_id"]))
    file = None if row is None else picture_file(station.log, row["image_path"], request.url_vars["kind"])
    try:
        data = None if file is None else await asyncio.to_thread(file.read_bytes)
    except OSError:
        data = None  # retention was quicker
    if data is None:
        return Response.text(visit.t("The picture was not kept, or its time is over."), status=404)
    return Response(data, content_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


async def defects(visit: Visit) -> Response:
    """Show what did not pass, as a Pareto chart."""
    station, asked = visit.station(), visit.request.args.get("by")
    by: questions.Grouping = asked if asked in get_args(questions.Grouping) else "label"
    name = station.settings.name

    def both(log: sqlite3.Connection) -> tuple[list[questions.Bar], dict[str, int]]:
        return questions.pareto(log, name, by, visit.since), questions.counts(log, name, visit.since)

    bars, counts = await visit.site.ask(station, both) or ([], {})
    named = [(_bar_name(visit, by, bar), bar) for bar in bars]
    rows = [(text, bar.count, bar.fail, bar.review, round(bar.cumulative, 4)) for text, bar in named]
    table = Table((by, "count", "fail", "review", "cumulative"), rows)
    return await visit.page(
        "defects.html", table, bars=named[-_BARS:] if by == "hour" else named[:_BARS], left_out=max(len(named) - _BARS, 0), by=by,
        most=max((bar.count for bar in bars), default=0), groupings=get_args(questions.Grouping), all_hours=HOURS, station=name,
        total=sum(counts.values()), counts=counts,
    )  # fmt: skip


def _bar_name(visit: Visit, by: questions.Grouping, bar: questions.Bar) -> str:
    if bar.name is None:
        return visit.t("no label (fault)" if by == "label" else "no lot")
    if by != "label":
        return bar.name
    station = visit.station()
    product = next((key for key, section in station.settings.products.items() if bar.name in section.labels), "")
    return station.label(product, bar.name, visit.language)


async def reviews(visit: Visit) -> Response:
    """List what waits for a person, the most doubtful first."""
    station = visit.station()
    limit = _EXPORTED if visit.request.args.get("format") else _SHOWN

    def queue(log: sqlite3.Connection) -> tuple[list[questions.Row], int]:
        signed = slips(station, log)
        found, total = questions.open_reviews(log, station.settings.name, limit + len(signed))
        left = [row for row in found if row["inspection_id"] not in signed]
        return left[:limit], total - len(signed)

    found, total = await visit.site.ask(station, queue) or ([], 0)
    names = ("inspected_at", "seq", "part_id", "lot", "product", "label", "confidence", "doubt", "reason", "is_fault", "inspection_id")
    table = Table(names, [tuple(row[name] for name in names) for row in found])
    return await visit.page("reviews.html", table, rows=found, total=total, shown=station, station=station.settings.name)


async def why(visit: Visit) -> Response:
    """Show all that is known of one verdict."""
    station, wanted = visit.station(visit.request.url_vars["station"]), visit.request.url_vars["inspection_id"]

    def all_of_it(log: sqlite3.Connection) -> tuple[questions.Row, list[questions.Row], dict[str, questions.Row], Opinions] | None:
        row = questions.inspection(log, station.settings.name, wanted)
        if row is None:
            return None
        read = {str(report["report_id"]): report for report in questions.reports(log, json.loads(row["report_ids"]))}
        opinions = questions.reviews(log, wanted), slips(station, log).get(wanted), questions.report_weights(log, wanted)
        return row, questions.findings(log, row["inspection_id"]), read, opinions

    found = await visit.site.ask(station, all_of_it)
    if found is None:
        raise NotFound(visit.t("There is no such verdict."))
    row, findings, read, (reviews_of_it, slip, weights) = found
    product = station.settings.products.get(row["product"])
    regions = json.loads(row["posterior"])
    table = Table(
        ("region", "label", "probability"), [(r["region"], name, share) for r in regions for name, share in _by_share(r["scores"])]
    )
    trace = station.root / "var" / station.settings.name / "trace" / f"{row['inspection_id']}.html"
    return await visit.page(
        "why.html", table, row=row, regions=[{**r, "scores": _by_share(r["scores"])} for r in regions], shown=station,
        station=station.settings.name, report_ids=json.loads(row["report_ids"]), reports=read, has_trace=trace.is_file(),
        timings=json.loads(row["timings_ms"]), standing=json.loads(row["calibration"]) if row["calibration"] else None,
        kinds=kinds_of(station.log, row["image_path"]), reviews=reviews_of_it, slip=slip, weights=weights,
        labels=product.labels if product else (),
        good=product.good if product else None, unknown=UNKNOWN, longest_note=LONGEST_NOTE,
        boxes=[{**finding, **box_px(row, finding)} for finding in findings],
    )  # fmt: skip


def _by_share(scores: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda item: -item[1])


async def trace(request: Request, datasette: Site) -> Response:
    """Hand out a stored trace, as a page that may do nothing but be looked at."""
    station = Visit.of(request, datasette).station(request.url_vars["station"])
    file = station.root / "var" / station.settings.name / "trace" / f"{request.url_vars['inspection_id']}.html"
    if not file.is_file():
        raise NotFound("This verdict has not been traced")
    shut = {"content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"}
    return Response.html(await asyncio.to_thread(file.read_text, encoding="utf-8"), headers=shut)


async def reports(visit: Visit) -> Response:
    """Search the historical QC reports."""
    station, text = visit.station(), (visit.request.args.get("q") or "").strip()[:200]
    limit = _EXPORTED if visit.request.args.get("format") else _SHOWN
    found = await visit.site.ask(station, lambda log: questions.find_reports(log, text, limit)) or []
    names = ("report_id", "written_at", "product", "lot", "label", "text")
    table = Table(names, [tuple(row[name] for name in names) for row in found])
    return await visit.page("reports.html", table, rows=found, q=text, shown=station, station=station.settings.name)


async def health(visit: Visit) -> Response:
    """Show latency, faults and the newest events."""
    station = visit.station()
    name = station.settings.name

    def both(log: sqlite3.Connection) -> tuple[list[tuple[float | None, float, int]], list[questions.Row]]:
        return questions.timings(log, name), questions.events(log, name, _SHOWN)

    timings, events = await visit.site.ask(station, both) or ([], [])
    condition: Payload = await asyncio.to_thread(look, station.settings, station.root)
    sound = [(total, age) for total, age, is_fault in timings if not is_fault]
    spreads = {
        "from capture to verdict": _spread([age for _, age in sound]),
        "the model's whole way": _spread([total for total, _ in sound if total is not None]),
    }
    quantiles = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    rows: list[tuple[str | float, ...]] = [
        (stage, len(sound), *(spread[key] for key in quantiles)) for stage, spread in spreads.items() if spread
    ]
    return await visit.page(
        "health.html", Table(("stage", "verdicts", *quantiles), rows), spreads=spreads, verdicts=len(sound), quantiles=quantiles,
        condition=condition, events=events, station=name,
    )  # fmt: skip


def _spread(values_ms: list[float]) -> dict[str, float] | None:
    if not values_ms:
        return None
    latencies = Latencies(len(values_ms))
    for value in values_ms:
        latencies.add(value)
    return latencies.summary()


_NAME = r"(?P<station>[A-Za-z0-9][A-Za-z0-9_.-]*)/(?P<inspection_id>[0-9a-f-]{36})"
ROUTES = [
    (r"^/$", answered(wall)),
    (r"^/-/events$", stream),
    (r"^/-/defects$", answered(defects)),
    (r"^/-/reviews$", answered(reviews)),
    (r"^/-/reports$", answered(reports)),
    (r"^/-/health$", answered(health)),
    (r"^/-/learning$", answered(learning)),
    (r"^/-/assist$", answered(assist)),
    (r"^/-/order/(?P<order>[0-9a-f]{32})$", answered(order)),
    (rf"^/-/why/{_NAME}$", answered(why)),
    (rf"^/-/review/{_NAME}$", answered(review)),
    (rf"^/-/trace/{_NAME}$", trace),
    (rf"^/-/picture/{_NAME}/(?P<kind>picture|unlike|label)$", picture),
]


def new_watches(site: Site) -> dict[str, Watch]:
    """Return one watch a station."""
    return {name: Watch(site, station) for name, station in site.stations.items()}
