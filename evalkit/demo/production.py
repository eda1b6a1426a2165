"""The demo's production traffic: two weeks of the shop's support agent at work, as traces.

They lie in ``production.json.gz`` as they were recorded, for the fortnight before :data:`RECORDED`.
What production has is among them: an outage, timeouts and second tries, slow requests, questions
that come twice, a request that is still open, other languages, a customer who gives the agent
orders, and what colleagues thought of some answers.
"""

from __future__ import annotations

import datetime as dt
import gzip
import re
from importlib.resources import files

import msgspec

from evalkit.entities import Assessment, Trace
from evalkit.store import Store

PRODUCTION = "quillmoor-support-production"
"""The experiment that the agent's traces lie in."""

RECORDED = dt.date(2026, 5, 12)
"""The day that the recorded traces end before."""

DAY = {"created": 24 * 3600, "ms": 24 * 3600 * 10**3, "ns": 24 * 3600 * 10**9}
"""A day in the unit of a field, by the end of the field's name."""
MONTHS = {
    "": "January February March April May June July August September October November December",
    ".": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
}
"""The names of months after a day, by what stands between them."""

TIME = re.compile(r'"((?:\w+_)?(ns|ms|created))":(\d+)')
DATE = re.compile(
    r"\b(\d{4}-\d\d-\d\d)\b"
    rf"|\b(\d{{1,2}})(\.?) ({'|'.join(' '.join(MONTHS.values()).split())})\b( \d{{4}})?"
)


def production_traces(made: dt.date) -> list[tuple[Trace, tuple[Assessment, ...]]]:
    """The traces with what people said of them, the oldest first; the same each time.

    Args:
        made: The day on which the demo is made; the last request came in on the day before. All
            dates, those in texts too, move with it.
    """
    later = made - RECORDED
    packed = (files(__package__) / "production.json.gz").read_bytes()
    text = DATE.sub(lambda found: _moved(found, later), gzip.decompress(packed).decode())
    text = TIME.sub(lambda t: f'"{t[1]}":{int(t[3]) + later.days * DAY[t[2]]}', text)
    form = list[tuple[Trace, tuple[Assessment, ...]]]
    return msgspec.json.decode(text, type=form, dec_hook=lambda kind, value: kind(value))


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


def _moved(found: re.Match[str], later: dt.timedelta) -> str:
    """A date in a text, as much later, in the form in which it is written."""
    iso, day, stop, month, year = found.groups(default="")
    if iso:
        return (dt.date.fromisoformat(iso) + later).isoformat()
    months = MONTHS[stop].split()
    then = dt.date(int(year or RECORDED.year), months.index(month) + 1, int(day)) + later
    return f"{then.day}{stop} {months[then.month - 1]}{f' {then.year}' if year else ''}"
