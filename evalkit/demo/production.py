"""The demo's production traffic: two weeks of the shop's support agent at work, as traces.

Nothing here is drawn by chance: times stand in the files of ``traffic``, ids are derived from them,
so the same traces are made each time. What production has is among them: an outage, timeouts and
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

YEAR = 2026
JUDGED_AFTER = dt.timedelta(hours=5)

ROUTES: Mapping[str, Callable[[Shop, Request], Trace]] = {
    "answers": answer_customer,
    "tickets": classify_ticket,
    "refunds": draft_refund,
}
"""What the agent is called for, by the file of requests."""


def production_traces() -> list[tuple[Trace, tuple[Assessment, ...]]]:
    """The traces with what people said of them, the oldest first; the same each time."""
    shop = Shop.open(traffic("systems"))
    found = [
        (trace, tuple(_thumbs(request, trace)))
        for name, route in ROUTES.items()
        for request in _requests(shop, traffic(name))
        for trace in [route(shop, request)]
    ]
    return sorted(found, key=lambda each: each[0].start_ns)


def record_production(store: Store) -> int:
    """Write the traces into the store, as far as they are not there.

    Returns:
        How many had to be written.

    Raises:
        StoreError: MLflow failed; doing the same again finishes.
    """
    return store.record(store.experiment(PRODUCTION, create=True), production_traces())


def _requests(shop: Shop, told: Mapping[str, Any]) -> Iterator[Request]:
    situations = told.get("situations", {})
    for entry in told["requests"]:
        moment = dt.datetime.strptime(f"{YEAR}-{entry['at']} +0000", "%Y-%m-%d %H:%M %z")
        situation = situations.get(entry.get("about"), {})
        yield Request(entry, situation, moment, shop.facts(entry, moment))


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
