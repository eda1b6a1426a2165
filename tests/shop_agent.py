"""An agent of somebody else at work, as MLflow records it: its traces, written past evalkit."""

import json

from mlflow.entities import Span, TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient
from recorder import person, span, step

from evalkit.store import connect

BEGIN_NS = 1_778_579_000_000_000_000
SECOND_NS = 1_000_000_000

ANSWERS = {
    "Where is order A-1001?": "Your order A-1001 left us on Monday. It arrives tomorrow.",
    "Can I return a lamp?": "Yes, you may return the lamp within 30 days. The return is free.",
    "Do you ship to Norway?": "Yes, we ship to Norway. The parcel takes 5 days and costs 12 EUR.",
    "What does a gift card cost?": "A gift card costs 10 EUR or more. You choose the amount.",
    "Is the shop open on Sunday?": "No, the shop is closed on Sunday. It opens on Monday at 9.",
    "How do I pay?": "You pay by card or by invoice. The invoice is due in 14 days.",
    "Do you repair lamps?": "Yes, we repair lamps. The repair takes 7 days and costs 20 EUR.",
    "Do you sell bulbs?": "Yes, we sell bulbs for every lamp. A bulb costs 4 EUR or more.",
    "Can I cancel my order?": "Yes, you may cancel the order until it leaves us, free of charge.",
    "How do I reach a person?": "You reach a person by telephone on weekdays, from 9 to 17.",
    "Do lamps have a warranty?": "Yes, every lamp has a warranty. The warranty lasts 24 months.",
}
"""Questions that the shop was asked, and good answers: enough for a suite to stand on."""

REJECTED = (
    "Do you wrap gifts?",
    "Yes, we wrap gifts. You choose the paper.",
    "The shop gave up wrapping gifts in spring",
)
"""A question, an answer that looks like the good ones, and why a person rejected it."""


class ShopAgent:
    """Answers questions about orders; each answer is a trace of an experiment.

    A trace is a chain with a retriever, a tool and a chat model in OpenAI's form below it.
    """

    def __init__(self, uri, experiment_id, begins=0):
        self.uri, self.experiment_id, self._count = uri, experiment_id, begins
        self._tracing = TracingClient(uri)

    def answer(
        self,
        question,
        reply="It is on its way.",
        *,
        seconds=2.0,
        tool_error="",
        error="",
        tokens=(100, 20),
    ):
        """Answer a question; the id of the trace.

        ``tool_error`` is what the tool fails with, ``error`` what the model and with it the whole
        trace does; ``tokens`` were read and written, as MLflow would add them up.
        """
        self._count += 1
        key = f"{(int(self.experiment_id) << 64) + self._count:032x}"  # one in the whole store
        begin = BEGIN_NS + self._count * 60 * SECOND_NS
        end = begin + int(seconds * SECOND_NS)
        order = {"order": f"QM-{self._count}"}
        messages = [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": question},
        ]
        said = {"choices": [{"message": {"role": "assistant", "content": reply}}]}
        ends = {"error": error, "took": seconds}
        steps = [
            (begin, step("answer", {"question": question}, reply, kind="CHAIN", **ends)),
            (begin, step("policies", {"q": question}, [], kind="RETRIEVER", took=1e-6)),
            (begin + 2000, step("lookup", order, "paid", error=tool_error, took=seconds - 2e-6)),
            (
                end - 1000,
                step(
                    "chat", {"messages": messages}, said, kind="CHAT_MODEL", error=error, took=1e-6
                ),
            ),
        ]
        spans = [
            span(key, at, each, start, event=True) for at, (start, each) in enumerate(steps, 1)
        ]
        self._tracing.log_spans(self.experiment_id, [Span.from_dict(each) for each in spans])
        used = dict(zip(("input_tokens", "output_tokens"), tokens or (), strict=False))
        self._tracing.start_trace(
            TraceInfo(
                trace_id=f"tr-{key}",
                trace_location=TraceLocation.from_experiment_id(self.experiment_id),
                request_time=begin // 1_000_000,
                execution_duration=int(seconds * 1000),
                state=TraceState.ERROR if error else TraceState.OK,
                request_preview=question,
                response_preview="" if error else reply,
                trace_metadata={"mlflow.trace.tokenUsage": json.dumps(used)} if used else {},
                tags={"mlflow.traceName": "answer"},
            )
        )
        return f"tr-{key}"

    def reject(self, trace_id, why):
        """Have a person say that an answer is wrong."""
        self._tracing.log_assessment(trace_id, person(False, "correct", why=why))


def open_shop(uri, experiment):
    """An experiment with eleven good answers, one that people rejected, and one that failed."""
    shop = ShopAgent(uri, connect(uri).experiment(experiment, create=True))
    for question, answer in ANSWERS.items():
        shop.answer(question, answer)
    question, answer, why = REJECTED
    shop.reject(shop.answer(question, answer), why)
    shop.answer("Hello?", error="the model is overloaded")
