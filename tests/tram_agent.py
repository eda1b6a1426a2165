"""What a tram company's agent was asked and what it answered: two routes, some failures."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core.agent.requests import Recorded
from evalkit.core.agent.suite import Row, ToolStep
from evalkit.core.values import Json

DEPARTURES = {
    "Harbour": ("line 12", "08:41"),
    "Castle Hill": ("line 3", "09:07"),
    "Old Market": ("line 25", "10:15"),
    "Stadium": ("line 48", "18:33"),
    "Botanical Garden": ("line 17", "11:52"),
    "University": ("line 60", "07:26"),
}
"""Where to, by which line, when."""

ASK, SORT = "ask", "sort/complaint"
"""The routes: questions are answered in words, complaints sorted into JSON."""

COMPLAINTS = {
    "The heating on line 12 is broken.": ("vehicle", "heating"),
    "Your driver left without me!": ("staff", "driver"),
    "I was charged twice for a ticket.": ("ticket", "charged"),
}


TRIAGE = "triage"
"""A third route: messages get a label, and the stop that they name."""

LABELLED = {
    "The doors at Harbour do not close.": ("vehicle", "Harbour"),
    "It is freezing in your trams.": ("vehicle", None),
    "A window is cracked.": ("vehicle", None),
    "Your driver was so kind today!": ("staff", None),
    "The driver at the Botanical Garden shouted.": ("staff", "Botanical Garden"),
    "Nobody answers your telephone.": ("staff", None),
    "The machine at Old Market kept my money.": ("ticket", "Old Market"),
    "How do I change my season ticket?": ("ticket", None),
}


def trace_id(number: int) -> str:
    return f"tr-{number:032x}"


def recorded(
    number: int,
    route: str,
    inputs: dict[str, Json],
    outputs: Json,
    steps: Sequence[ToolStep] = (),
    seconds: float | None = 2.0,
) -> Recorded:
    """A request and its answer; without an answer it failed."""
    row = Row(inputs, outputs, {}, trace_id(number), tuple(steps), seconds)
    ok = outputs is not None
    return Recorded(row.source_trace_id or "", route, row, ok, "" if ok else "OutOfService: depot")


def departure(number: int, to: str, *, words: str = "", seconds: float = 2.0) -> Recorded:
    """A question for a departure, answered with the help of the timetable."""
    line, time = DEPARTURES[to]
    said = words or (
        f"The next tram to {to} is {line}; it leaves at {time} from platform 2.\n\n"
        "Have a good journey!"
    )
    found = ToolStep("timetable", output={"to": to, "line": line, "time": time, "platform": 2})
    asked = {"question": f"When does the next tram leave for {to}?"}
    return recorded(number, ASK, asked, said, [found], seconds)


def complaint(number: int, text: str) -> Recorded:
    """A complaint, sorted."""
    kind, word = COMPLAINTS[text]
    return recorded(number, SORT, {"text": text}, {"kind": kind, "summary": f"About: {word}."})


def triaged() -> list[Recorded]:
    """Messages with their labels; all good."""
    return [
        recorded(number, TRIAGE, {"message": text}, {"label": label, "stop": stop})
        for number, (text, (label, stop)) in enumerate(LABELLED.items(), 31)
    ]


def traces() -> list[Recorded]:
    """All of them: nine good, one failed."""
    asked = [departure(n, to, seconds=1 + n / 4) for n, to in enumerate(DEPARTURES, 1)]
    sorted_ = [complaint(n, text) for n, text in enumerate(COMPLAINTS, 11)]
    failed = recorded(21, ASK, {"question": "When does the ghost tram leave?"}, None, seconds=0.3)
    return [*asked, *sorted_, failed]
