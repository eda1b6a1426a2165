"""Rows of a shop's agent that answers from documents, as whole traces, and a suite that holds."""

from dataclasses import replace

from mlflow.entities import Span, Trace, TraceData, TraceInfo, TraceLocation, TraceState
from recorder import span, step

from evalkit.suite.model import LIMITS_FILE, SCORERS_FILE, Row

NS = 1_700_000_000_000_000_000
GOODS = ("lamp", "chair", "desk", "shelf", "sofa", "stool", "bench", "mirror", "carpet", "clock")


def trace_id(number):
    return f"tr-{number + 1:032x}"


def row(number, *, answer=None, **said):
    """A question about delivery, its document and tool, and the answer that follows from them."""
    goods, days = GOODS[number % len(GOODS)], 2 + number % 7
    asked = {"question": f"When does my {goods} no. {number + 100} arrive?"}
    document = {"page_content": f"A {goods} is delivered within {days} days.", "metadata": {}}
    if answer is None:
        answer = f"Your {goods} no. {number + 100} arrives within {days} days, as our terms say."
    steps = [
        step("shop", asked, answer, kind="AGENT", took=0.09),
        step("find", None, [document], kind="RETRIEVER"),
        step("order", {"no": number + 100}, {"item": goods}),
        step("model", None, answer, kind="LLM"),
    ]
    key = trace_id(number).removeprefix("tr-")
    spans = [span(key, at, each, NS + at * 1_000_000) for at, each in enumerate(steps, 1)]
    info = TraceInfo(
        trace_id=trace_id(number),
        trace_location=TraceLocation.from_experiment_id("1"),
        request_time=NS // 1_000_000,
        execution_duration=90,
        state=TraceState.OK,
        tags={"mlflow.traceName": "shop"},
    )
    trace = Trace(info, TraceData([Span.from_dict(each) for each in spans]))
    plain = Row(trace_id(number), "shop", asked, answer, seconds=0.09, trace=trace)
    return replace(plain, **said)


REASON = "Wrong delivery time promised"


def shop_rows(count=24):
    """Good answers; people accepted four and rejected two more, of which one says a wrong time."""
    good = [row(n, verdict="accepted" if n < 4 else "none") for n in range(count)]
    rejected = ("within 99 days", REASON), ("some time soon", "Too vague about the time")
    for number, (time, why) in enumerate(rejected, count):
        answer = f"Your goods no. {number + 100} arrive {time}, as our terms say."
        good.append(row(number, answer=answer, verdict="rejected", comments=(why,)))
    return good


HEAD = '''"""Scorers of a shop's agent."""

import re

from mlflow.entities import Feedback, SpanType
from mlflow.genai.scorers import PIIDetection, ResponseLength, scorer

'''
FIGURES = '''
@scorer
def figures(inputs, outputs, trace):
    """Figures stand in the request or in what was retrieved."""
    found = trace.search_spans(span_type=SpanType.RETRIEVER)
    if not found:
        return None
    given = str(inputs) + str([span.outputs for span in found])
    wrong = [each for each in re.findall(r"[0-9]+", str(outputs)) if each not in given]
    return Feedback(value=not wrong, rationale=f"not in the sources: {wrong}")


'''
POLITE = '''
@scorer
def polite(outputs):
    """Speaks of our terms."""
    return "yes" if "as our terms say" in str(outputs) else "no"


'''
BAD_FIGURES = f"({trace_id(0)!r}, 'Your lamp no. 100 arrives within 77 days, as our terms say.')"
BAD_POLITE = f"({trace_id(0)!r}, 'Your lamp no. 100 arrives within 2 days, stop asking me now.')"
BAD_PII = f"({trace_id(0)!r}, 'Your lamp arrives within 2 days, ask otto@example.org, as ours.')"
LIMITS = f"""# What rules cannot tell

- {trace_id(25)}: people said it is too vague about the time. Guideline for a judge: the answer
  names a number of days.
"""


def suite(code=None, examples=None, limits=LIMITS):
    """The files of a suite; that of the shop where nothing else is given."""
    if code is None:
        code = f"{FIGURES}{POLITE}SCORERS = [figures, polite, PIIDetection(pii_types=['email'])]\n"
    if examples is None:
        examples = (
            f"{{'figures': {BAD_FIGURES}, 'polite': {BAD_POLITE}, 'pii_detection': {BAD_PII}}}"
        )
    text = f"{HEAD}{code}\nBAD_EXAMPLES = {examples}\n"
    return {SCORERS_FILE: text.encode(), LIMITS_FILE: limits.encode()}
