"""A case's trace beside what the run reports of the case; how long it took, and when it began."""

import datetime as dt
import json
import os
from pathlib import Path

import pytest
from agentlogs import (
    SONNET,
    answer,
    as_lines,
    ask,
    cost,
    finish,
    init,
    say,
    stamp,
    system,
    text,
    usage,
    use,
)
from eval_project import CASES, RESULT, RUN, scores_of

USED = usage(1000, 100, 300, 40)
PAID = cost(SONNET, USED)
CALL = say("m1", text("hm"), used=USED, stop="end_turn")
WHOLE = [init(), CALL, finish(models={SONNET: USED}, main=USED)]
TOKENS = {"input": 1000, "output": 100, "cache_read": 300, "cache_create": 40}
SAME = {"duration_s": 11.0, "cost_usd": PAID, "num_turns": 2, "token_usage": TOKENS}
PER_MODEL = {"per_model_usage": {SONNET: {**TOKENS, "cost_usd": PAID}}}
CUT = [init(), say("m1", use("t", "Bash", command="x"), used=USED), answer("t", "y")]
NOTHING = dict.fromkeys(TOKENS, 0)
KILLED = {"exit_code": 124, "duration_s": 120.0, "num_turns": 0, "token_usage": NOTHING}
MINUTES = {"duration_s": 180.0}


@pytest.fixture
def logged(evalkit, project, mlflow, tmp_path):
    """Logs cases, each with its log and what run_result.json says of it; traces and receipts."""

    def log(cases):
        project.unlog(*CASES)
        for case, (events, _) in cases.items():
            given = events if isinstance(events, bytes) else b"".join(as_lines(events))
            project.log(case, given)
        told = {case: reported for case, (_, reported) in cases.items()}
        project.write(f"{project.run_dir}/run_result.json", {**RESULT, "per_case": told})
        for _ in range(2):
            outcome = evalkit("log-results", *RUN)
            assert outcome.code == 0, outcome.err
        assert outcome.report["written"] is False
        run_id = mlflow.run().info.run_id
        path = mlflow.client.download_artifacts(run_id, "receipt.json", str(tmp_path))
        traces = {case: trace.info for case, trace in mlflow.traces().items()}
        return traces, json.loads(Path(path).read_text("utf-8"))["logs"]

    return log


def test_a_case_takes_as_long_as_its_log_says_else_as_the_run_does(logged):
    at_once = [{**event, "timestamp": "2026-03-04T05:06:07Z"} for event in WHOLE]
    cases = {
        "result only": ([finish(duration_ms=68_000)], {}, 68),
        "stamped when all was over": (at_once, {}, 10),
        "result without a duration": ([*CUT, finish(duration_ms=None)], MINUTES, 180),
        "a duration in the log": (WHOLE, MINUTES, 10),
        "cut off": (CUT, KILLED, 120),
        "cut off, after ages": (CUT, {"duration_s": 1e300, "token_usage": {"input": 1e300}}, 0),
        "cut off in its second session": ([*WHOLE, *CUT], KILLED, 120),
        "stamped beyond what the run says": (stamp(CUT, "all", seconds=100), KILLED, 200),
    }
    found, _ = logged({case: told[:2] for case, told in cases.items()})
    lasted = {case: round(found[case].execution_duration / 1000) for case in cases}
    assert lasted == {case: seconds for case, (_, _, seconds) in cases.items()}


SILENT = [init(), say("m1", text("hm"), used=usage(0, 0)), finish()]
OTHER = {**SAME, "cost_usd": 2 * PAID, "token_usage": {**TOKENS, "input": 2200, "cache_read": 9}}
MISFITS = {
    "cost_usd": [pytest.approx(PAID), pytest.approx(2 * PAID)],
    "input tokens": [1000, 2200],
    "cache_read tokens": [300, 9],
}
KNOWN = (1000, 100, pytest.approx(PAID))
REPORTED = {  # the log, what the run says, the verdict, what differs; tokens and cost of the trace
    "as reported": (WHOLE, SAME, "reconciled", {}, KNOWN),
    "rounded": (WHOLE, {**SAME, "cost_usd": round(PAID, 4)}, "reconciled", {}, KNOWN),
    "nothing is reported": (WHOLE, {}, "reconciled", {}, KNOWN),
    "killed": (CUT, KILLED, "incomplete", {}, (1000, None, None)),
    "other tokens and cost": (WHOLE, OTHER, "differs", MISFITS, KNOWN),
    "no figures in the log": (SILENT, SAME, None, None, KNOWN),
    "no cost in a transcript": ([init(), CALL], {**SAME, **PER_MODEL}, None, None, KNOWN),
    "tokens in no place": (SILENT, {"cost_usd": 0.2}, None, None, (None, None, 0.2)),
    "cost in the log, tokens in the run": (
        [init(), CALL, finish(total_cost_usd=PAID)],
        {"token_usage": TOKENS},
        *(None, None, KNOWN),
    ),
}


def test_what_a_log_does_not_say_the_run_does_and_what_does_not_fit_is_named(logged):
    traces, receipts = logged({case: told[:2] for case, told in REPORTED.items()})
    for case, (_, _, verdict, misfits, figures) in REPORTED.items():
        used, paid = traces[case].token_usage or {}, (traces[case].cost or {}).get("total_cost")
        assert (used.get("input_tokens"), used.get("output_tokens"), paid) == figures, case
        if verdict:
            differences = receipts[case]["differences"]
            named = {
                each["what"]: [each["spans"], each["result"]]
                for each in differences
                if "run_result.json" in each["why"]
            }
            assert (receipts[case]["verdict"], named) == (verdict, misfits), case


@pytest.mark.parametrize(
    ("run_id", "started", "stamps", "began"),
    [
        ("2026-07-09-v1", "2026-07-09T15:34:44Z", "all", "2026-03-04T05:06:07"),
        ("2026-07-09-v1", "2026-07-09T15:34:44Z", "none", "2026-07-09T15:34:44"),
        ("2026-07-09-v1", None, "none", "2026-07-09T12:00:00"),
        ("v1_20260709-153444", None, "none", "2026-07-09T15:34:44"),
        ("v1", None, "none", "2026-01-02T03:04:05"),
        ("v1", None, "", "2026-01-02T03:04:05"),  # no log at all
    ],
)
def test_a_run_began_when_its_logs_say_else_its_result_else_its_id_else_its_files(
    evalkit, project, mlflow, run_id, started, stamps, began
):
    folder = f"eval/runs/{project.name}/{run_id}"
    written = [project.write(f"{folder}/run_result.json", {**RESULT, "started_at": started})]
    for case in ("a", "b") if stamps else ():
        log = stamp([*CUT, *WHOLE[1:]], stamps if case == "b" else "none")
        path = f"{folder}/cases/{case}/stdout.log"
        written.append(project.write(path, b"".join(as_lines(log))))
    modified = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC).timestamp()
    for path in written:
        os.utime(path, (modified, modified))
    evalkit("log-results", "--run-id", run_id)
    assert at(mlflow.run().info.start_time) == began
    assert not stamps or at(mlflow.traces()["a"].info.request_time) == began


def at(milliseconds):
    moment = dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


# -- beyond what a store holds ----------------------------------------------------------------


def absurd(*, first=None, **last):
    when = first or {}
    events = [init(**when), ask("please", **when), say("m1", text("done"), **when)]
    return b"".join(as_lines([*events, finish("done", **last)]))


DURATION, TIME = "no time that a session takes", "time"
ABSURD_LOGS = {
    "1e30 ms": (absurd(duration_ms=1e30), DURATION),
    "1e400 ms": (absurd(duration_ms=1).replace(b'_ms": 1,', b'_ms": 1e400,'), ""),
    "no number of ms": (absurd(duration_ms=float("nan")), DURATION),
    "a negative duration": (absurd(duration_ms=-5), DURATION),
    "a year before 1970": (absurd(first={"timestamp": "1066-10-14T09:00:00Z"}), TIME),
    "a year 0": (absurd(first={"timestamp": "0001-01-01T00:00:00+23:00"}), TIME),
    "an end in 9999": (absurd(timestamp="9999-12-31T23:59:59-12:00"), ""),
    "turns of 10**40": (absurd(num_turns=10**40), ""),
    "a cost of 1e400": (absurd(total_cost_usd=1).replace(b'usd": 1', b'usd": 1e400'), ""),
    "tokens of 10**40": (absurd(usage={"input_tokens": 10**40, "output_tokens": 1e300}), ""),
    "a wait of 1e30 ms": ([init(), system("api_retry", retry_delay_ms=1e30), finish("x")], ""),
}
INFINITE, HUGE = float("inf"), 10**400
ABSURD_RESULTS = [
    {"duration_s": 8e12},
    {"duration_s": -3, "cost_usd": HUGE, "num_turns": HUGE},
    {"token_usage": {"input": HUGE, "output": float("nan")}},
    {"per_model_usage": {"m": {"input": HUGE, "cost_usd": INFINITE}}},
    {"per_case": {"alpha": {"duration_s": 1e30, "cost_usd": INFINITE, "num_turns": 9**99}}},
    {"started_at": "9999-12-31T23:59:59Z", "start_time": 1e30, "num_turns": 1e30},
]
ABSURD_SCORES = [".inf", ".nan", "1e400", "1" + "0" * 400, "1e308", "9999-12-31", "-1"]


def test_absurd_logs_still_make_traces(logged):
    found, noted = logged({case: (log, {}) for case, (log, _) in ABSURD_LOGS.items()})
    assert [c for c, (_, note) in ABSURD_LOGS.items() if note not in str(noted[c]["notes"])] == []
    for case in ABSURD_LOGS:
        assert 0 <= (found[case].execution_duration or 0) < 10**11
        assert 946_684_800_000 < found[case].request_time < 4_102_444_800_000


def test_absurd_results_still_make_a_run_and_are_named(project, evalkit, mlflow):
    project.unlog("alpha")
    for result in ABSURD_RESULTS:
        whole = {"exit_code": 0, "model": "m", "duration_s": 3, **result}
        project.write(f"{project.run_dir}/run_result.json", whole)
        outcome = evalkit("log-results", *RUN)
        assert outcome.code == 0, outcome.err
        wrong = "no number MLflow can show" in outcome.err or "no time that a run" in outcome.err
        assert wrong or "started_at" in result
        end = mlflow.run().info.end_time
        assert (len(mlflow.traces()), end is None or 0 < end < 10**14) == (3, True)


def test_an_absurd_score_is_kept_as_far_as_it_goes_and_costs_no_other(project, evalkit, mlflow):
    for value in ABSURD_SCORES:
        project.write(
            project.summary,
            f"judges:\n  quality: {{mean: {value}, pass_rate: {value}, n: {value}}}\n"
            f"  polite: {{mean: 1}}\n"
            f"per_case:\n  alpha:\n    quality: {{value: {value}, rationale: odd}}\n"
            f"    polite: {{value: true, rationale: kind}}\n",
        )
        for command in ("log-results", "push-feedback"):
            outcome = evalkit(command, *RUN)
            assert outcome.code == 0, outcome.err
        assert mlflow.run().data.metrics["polite/mean"] == 1
        values = mlflow.values("alpha")
        assert values["polite"] is True
        assert isinstance(values.get("quality", ""), str) or value not in {".inf", ".nan"}


LARGE = 2**53 + 1


@pytest.mark.parametrize(
    ("value", "kept"),
    [(-LARGE, str(-LARGE)), (2**53, 2**53), ({"id": [2**64, 3]}, {"id": [str(2**64), 3]})],
)
def test_whole_numbers_that_a_float_cannot_hold_are_text_and_said_to_be(
    evalkit, project, mlflow, value, kept
):
    project.summarise({"alpha": {**scores_of("alpha"), "order": {"value": value}}})
    project.review.write_text(json.dumps({"reviewer": "kim", "verdicts": {"beta": {"no": value}}}))
    said = "beyond 2^53, which MLflow would round, are text there: alpha/order"
    assert (said in evalkit("log-results", *RUN).err) == (value != kept)
    assert (f"{said}, beta/no" in evalkit("push-feedback", *RUN).err) == (value != kept)
    report = evalkit("push-feedback", *RUN).report
    assert (report["created"], report["updated"], report["deleted"]) == (0, 0, 0)
    assert (mlflow.values("alpha")["order"], mlflow.values("beta")["no"]) == (kept, kept)
