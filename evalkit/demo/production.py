"""The demo's production traffic: two weeks of the shop's support agent at work, as traces.

Nothing here is drawn by chance: times stand in the files of ``traffic``, ids are derived from them,
so the same traces are made each time; only the days move, to end with the day before the demo was
made. What production has is among them: an outage, timeouts and
second tries, slow requests, questions that come twice, a request that is still open, other
languages, a customer who gives the agent orders, and what colleagues thought of some answers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from evalkit.adapters.store import Store
from evalkit.core.feedback import Assessment
from evalkit.core.spans import Trace
from evalkit.core.values import derive_id
from evalkit.demo.assets import traffic
from evalkit.demo.routes import Request, answer_customer, classify_ticket, draft_refund
from evalkit.demo.shop import Shop

PRODUCTION = "quillmoor-support-production"
"""The experiment that the agent's traces lie in."""

WRITTEN_FOR = dt.date(2026, 5, 12)
"""The day that the files of ``traffic`` end before."""

NEWER_FROM = dt.datetime(2026, 5, 5, 6, tzinfo=dt.UTC)
"""When the newer release of the agent went into production, by those files."""

JUDGED_AFTER = dt.timedelta(hours=5)

ROUTES: Mapping[str, Callable[[Shop, Request], Trace]] = {
    "answers": answer_customer,
    "tickets": classify_ticket,
    "refunds": draft_refund,
}
"""What the agent is called for, by the file of requests."""


def production_traces(made: dt.date) -> list[tuple[Trace, tuple[Assessment, ...]]]:
    """The traces with what people said of them, the oldest first; the same each time.

    Args:
        made: The day on which the demo is made; the last request came in on the day before.
    """
    shop = Shop.open(traffic("systems"))
    found = [
        (trace, tuple(_thumbs(request, trace)))
        for name, route in ROUTES.items()
        for request in _requests(shop, traffic(name), made - WRITTEN_FOR)
        for trace in [route(shop, request)]
    ]
    return sorted(found, key=lambda each: each[0].start_ns)


def record_production(store: Store, made: dt.date) -> int:
    """Write the traces into the store, as far as they are not there.

    Args:
        store: The store.
        made: As :func:`production_traces` has it.

    Returns:
        How many had to be written.

    Raises:
        StoreError: MLflow failed; doing the same again finishes.
    """
    return store.record(store.experiment(PRODUCTION, create=True), production_traces(made))


def _requests(shop: Shop, told: Mapping[str, Any], later: dt.timedelta) -> Iterator[Request]:
    situations, closings = told.get("situations", {}), told.get("closings", [""])
    for entry in told["requests"]:
        written = f"{WRITTEN_FOR.year}-{entry['at']} +0000"
        moment = dt.datetime.strptime(written, "%Y-%m-%d %H:%M %z") + later
        newer = NEWER_FROM + later
        week = (newer if moment >= newer else newer - dt.timedelta(weeks=1)).isocalendar()
        release = f"{week.year}.{week.week}.{1 if moment >= newer else 4}"
        situation = {"closings": closings, **situations.get(entry.get("about"), {})}
        yield Request(entry, situation, moment, shop.facts(entry, moment), release)


def _thumbs(request: Request, trace: Trace) -> Iterator[Assessment]:
    """A colleague's thumb up or down, where there is one."""
    if thumb := request.entry.get("thumb"):
        yield Assessment(
            "a-" + derive_id(trace.trace_id, "thumb"),
            trace.trace_id,
            "thumbs_up",
            thumb["up"],
            "HUMAN",
            f"{thumb['by']}@quillmoor.example",
            thumb["why"],
            time_ms=round((request.moment + JUDGED_AFTER).timestamp() * 1000),
        )
