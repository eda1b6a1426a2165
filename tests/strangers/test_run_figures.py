"""A case's trace beside what the run reports of the case; how long it took, and when it began."""

import datetime as dt
import json
import os
from pathlib import Path

import pytest
from agentlogs import (
    SONNET,
    added,
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
CUT = [init(), say("m1", use("t", "Bash", command="x"), used=USED), answer("t", "y")]
KILLED = {
    "exit_code": 124,
    "duration_s": 120.0,
    "cost_usd": None,
    "num_turns": 0,
    "token_usage": dict.fromkeys(TOKENS, 0),
}
MINUTES = {"duration_s": 180.0}


def per_model(used, **tokens):
    return {"per_model_usage": {SONNET: {**TOKENS, **tokens, "cost_usd": cost(SONNET, used)}}}


def logged(evalkit, project, cases):
    """Log these cases, each with its log and what run_result.json says of it; all receipts."""
    project.unlog(*CASES)
    for case, (log, _) in cases.items():
        project.log(case, b"".join(as_lines(log)))
    told = {case: reported for case, (_, reported) in cases.items()}
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "per_case": told})
    evalkit("log-results", *RUN)


def receipts(mlflow, folder):
    path = mlflow.client.download_artifacts(mlflow.run().info.run_id, "receipt.json", str(folder))
    return json.loads(Path(path).read_text("utf-8"))["logs"]


def test_a_case_takes_as_long_as_its_log_says_else_as_the_run_does(evalkit, project, mlflow):
    at_once = [{**event, "timestamp": "2026-03-04T05:06:07Z"} for event in WHOLE]
    cases = {
        "result only": ([finish(duration_ms=68_000)], {}, 68),
        "result only, stamped": (stamp([finish(duration_ms=68_000)], "all"), {}, 68),
        "stamped when all was over": (at_once, {}, 10),
        "result without a duration": ([*CUT, finish(duration_ms=None)], MINUTES, 180),
        "result only, without a duration": ([finish(duration_ms=None)], MINUTES, 180),
        "a duration in the log": (WHOLE, MINUTES, 10),
        "cut off": (CUT, KILLED, 120),
        "cut off, stamped": (stamp(CUT, "all"), KILLED, 120),
        "cut off, after ages": (CUT, {"duration_s": 1e300, "token_usage": {"input": 1e300}}, 0),
        "cut off in its second session": ([*WHOLE, *CUT], KILLED, 120),
        "stamped beyond what the run says": (stamp(CUT, "all", seconds=100), KILLED, 200),
    }
    logged(evalkit, project, {case: (log, told) for case, (log, told, _) in cases.items()})
    found = mlflow.traces()
    lasted = {case: round(found[case].info.execution_duration / 1000) for case in cases}
    assert lasted == {case: seconds for case, (_, _, seconds) in cases.items()}


REPORTED = {
    "as reported": (WHOLE, SAME, "reconciled", {}),
    "rounded": (WHOLE, {**SAME, "cost_usd": round(PAID, 4)}, "reconciled", {}),
    "nothing is reported": (WHOLE, {}, "reconciled", {}),
    "killed": (CUT, KILLED, "incomplete", {}),
    "another cost": (
        WHOLE,
        {**SAME, "cost_usd": 2 * PAID},
        "differs",
        {"cost_usd": [pytest.approx(PAID), pytest.approx(2 * PAID)]},
    ),
    "other tokens": (
        WHOLE,
        {**SAME, "token_usage": {**TOKENS, "input": 2200, "cache_read": 9}},
        "differs",
        {"input tokens": [1000, 2200], "cache_read tokens": [300, 9]},
    ),
    "a step that was lost": (
        WHOLE,
        {**SAME, "cost_usd": 0.5, "token_usage": {"input": 3000, "output": 400}},
        "differs",
        {
            "input tokens": [1000, 3000],
            "output tokens": [100, 400],
            "cost_usd": [pytest.approx(PAID), 0.5],
        },
    ),
}


def test_what_does_not_fit_the_runs_own_figures_is_named(evalkit, project, mlflow, tmp_path):
    logged(evalkit, project, {case: told[:2] for case, told in REPORTED.items()})
    found = receipts(mlflow, tmp_path)
    verdicts = {case: found[case]["verdict"] for case in REPORTED}
    named = {
        case: {
            each["what"]: [each["spans"], each["result"]]
            for each in found[case]["differences"]
            if "run_result.json" in each["why"]
        }
        for case in REPORTED
    }
    assert verdicts == {case: verdict for case, (_, _, verdict, _) in REPORTED.items()}
    assert named == {case: misfits for case, (_, _, _, misfits) in REPORTED.items()}


def test_what_a_log_does_not_say_of_cost_and_tokens_the_run_does(evalkit, project, mlflow):
    silent = [init(), say("m1", text("hm"), used=usage(0, 0)), finish()]
    logged(
        evalkit,
        project,
        {
            "no figures in the log": (silent, SAME),
            "no cost in a transcript": ([init(), CALL], {**SAME, **per_model(USED)}),
            "tokens in no place": (silent, {"cost_usd": 0.2}),
            "cost in the log, tokens in the run": (
                [init(), CALL, finish(total_cost_usd=PAID)],
                {"token_usage": TOKENS},
            ),
        },
    )
    figures = {}
    for case, trace in mlflow.traces().items():
        used, paid = trace.info.token_usage or {}, (trace.info.cost or {}).get("total_cost")
        figures[case] = (used.get("input_tokens"), used.get("output_tokens"), paid)
    assert {case: figures[case] for case in figures if case not in CASES} == {
        "no figures in the log": (1000, 100, pytest.approx(PAID)),
        "no cost in a transcript": (1000, 100, pytest.approx(PAID)),
        "tokens in no place": (None, None, pytest.approx(0.2)),
        "cost in the log, tokens in the run": (1000, 100, pytest.approx(PAID)),
    }


def test_steps_add_up_to_what_the_run_says(evalkit, project, mlflow):
    project.unlog(*CASES)
    whole = added([USED, USED, USED])
    folder = f"{project.run_dir}/cases/refund/steps"
    for step in ("plan", "act", "verify"):
        said = {**CALL, "message": {**CALL["message"], "id": f"of {step}"}}
        session = [{**event, "session_id": step} for event in (WHOLE[0], said, WHOLE[2])]
        project.write(f"{folder}/{step}/stdout.log", b"".join(as_lines(session)))
    steps = dict.fromkeys(("plan", "act", "verify"), SAME)
    tokens = {kind: 3 * count for kind, count in TOKENS.items()}
    told = {"cost_usd": cost(SONNET, whole), "token_usage": tokens, "num_turns": 3, "steps": steps}
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "per_case": {"refund": told}})
    evalkit("log-results", *RUN)
    info = mlflow.traces()["refund"].info
    assert info.tags["evalkit.receipt"] == "reconciled"
    assert info.token_usage["input_tokens"] == 3000
    assert info.cost["total_cost"] == pytest.approx(cost(SONNET, whole))
    assert info.execution_duration == 30_000


@pytest.mark.parametrize(
    ("run_id", "started", "stamps", "began"),
    [
        ("2026-07-09-v1", "2026-07-09T15:34:44Z", "all", "2026-03-04T05:06:07"),
        ("2026-07-09-v1", "2026-07-09T15:34:44Z", "user", "2026-03-04T05:06:09"),
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
WAIT = [init(), system("api_retry", retry_delay_ms=1e30), finish("x")]
ABSURD_LOGS = {
    "1e30 ms": (absurd(duration_ms=1e30), DURATION),
    "1e400 ms": (absurd(duration_ms=1).replace(b'_ms": 1,', b'_ms": 1e400,'), ""),
    "no number of ms": (absurd(duration_ms=float("nan")), DURATION),
    "a negative duration": (absurd(duration_ms=-5), DURATION),
    "a duration of many digits": (absurd(duration_ms=10**40), DURATION),
    "a year before 1970": (absurd(first={"timestamp": "1066-10-14T09:00:00Z"}), TIME),
    "a year 0": (absurd(first={"timestamp": "0001-01-01T00:00:00+23:00"}), TIME),
    "an end in 9999": (absurd(timestamp="9999-12-31T23:59:59-12:00"), ""),
    "turns of 10**40": (absurd(num_turns=10**40), ""),
    "a cost of 1e400": (absurd(total_cost_usd=1).replace(b'usd": 1', b'usd": 1e400'), ""),
    "tokens of 10**40": (absurd(usage={"input_tokens": 10**40, "output_tokens": 1e300}), ""),
    "a wait of 1e30 ms": (b"".join(as_lines(WAIT)), ""),
}


def test_absurd_logs_still_make_traces(project, evalkit, mlflow, tmp_path):
    project.unlog(*CASES)
    for case, (log, _) in ABSURD_LOGS.items():
        project.log(case, log)
    for _ in range(2):
        outcome = evalkit("log-results", *RUN)
        assert outcome.code == 0, outcome.err
    noted = receipts(mlflow, tmp_path)
    assert [c for c, (_, note) in ABSURD_LOGS.items() if note not in str(noted[c]["notes"])] == []
    found = mlflow.traces()
    for case in ABSURD_LOGS:
        assert 0 <= (found[case].info.execution_duration or 0) < 10**11
        assert 946_684_800_000 < found[case].info.request_time < 4_102_444_800_000
    assert mlflow.run().info.status == "FINISHED"


INFINITE = float("inf")


@pytest.mark.parametrize(
    ("absurd", "said"),
    [
        ({"duration_s": 8e12}, True),
        ({"duration_s": INFINITE}, True),
        ({"duration_s": 10**400}, True),
        ({"duration_s": -3, "cost_usd": -1}, True),
        ({"cost_usd": 10**400, "num_turns": 10**400}, True),
        ({"num_turns": 1e30}, False),
        ({"token_usage": {"input": 10**400, "output": float("nan")}}, True),
        ({"per_model_usage": {"m": {"input": 10**400, "cost_usd": INFINITE}}}, True),
        (
            {"per_case": {"alpha": {"duration_s": 1e30, "cost_usd": INFINITE, "num_turns": 9**99}}},
            True,
        ),
        ({"started_at": "9999-12-31T23:59:59Z", "start_time": 1e30}, False),
    ],
)
def test_an_absurd_result_still_makes_a_run(absurd, said, project, evalkit, mlflow):
    result = {"execution_mode": "case", "exit_code": 0, "model": "m", "duration_s": 3}
    project.write(f"{project.run_dir}/run_result.json", {**result, **absurd})
    project.unlog("alpha")
    for _ in range(2):
        outcome = evalkit("log-results", *RUN)
        assert outcome.code == 0, outcome.err
        wrong = "no number MLflow can show" in outcome.err or "no time that a run" in outcome.err
        assert wrong or not said
    assert len(mlflow.traces()) == 3
    end = mlflow.run().info.end_time
    assert end is None or 0 < end < 10**14


@pytest.mark.parametrize(
    "value", [".inf", "-.inf", ".nan", "1e400", "1" + "0" * 400, "1e308", "9999-12-31", "-1"]
)
def test_an_absurd_score_is_kept_as_far_as_it_goes(value, project, evalkit, mlflow):
    """The other scores of the case, and the run's other figures, are all mlflow."""
    project.write(
        project.summary,
        f"judges:\n  quality: {{mean: {value}, pass_rate: {value}, n: {value}}}\n"
        f"  polite: {{mean: 1}}\n"
        f"per_case:\n  alpha:\n    quality: {{value: {value}, rationale: odd}}\n"
        f"    polite: {{value: true, rationale: kind}}\n",
    )
    for command in ("log-results", "push-feedback", "log-results"):
        outcome = evalkit(command, *RUN)
        assert outcome.code == 0, outcome.err
    assert mlflow.run().data.metrics["polite/mean"] == 1
    values = mlflow.values("alpha")
    assert values["polite"] is True
    if value in {".inf", "-.inf", ".nan"}:
        assert isinstance(values.get("quality", ""), str)


LARGE = 2**53 + 1


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (LARGE, str(LARGE)),
        (-(2**60), str(-(2**60))),
        (2**53, 2**53),
        ([LARGE, 3], [str(LARGE), 3]),
        ({"id": 2**64}, {"id": str(2**64)}),
    ],
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
