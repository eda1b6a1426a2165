"""The demo project: the same each time, safe to write again, readable by evalkit itself."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalkit.core.document import parse_json, parse_yaml
from evalkit.core.errors import InputError
from evalkit.core.project import Project, parse_project
from evalkit.core.results import Run
from evalkit.core.run_reader import read_run
from evalkit.core.thresholds import breaches
from evalkit.demo.production import WRITTEN_FOR
from evalkit.demo.project import MARKER, made_on, project_files, write_project
from evalkit.demo.run import BASELINE_ID, RUN_ID, RUNS

NEVER_RUN, CUT_OFF = "invoice-needs-vat-number", "parcel-lost-abroad"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("demo") / "shop").parent


@pytest.fixture(scope="module")
def project(root: Path) -> Project:
    return parse_project((root / "eval.yaml").read_text(), "eval.yaml")


def run_of(root: Path, project: Project, run_id: str) -> Run:
    folder = root / RUNS / run_id
    return read_run(
        run_id,
        project,
        parse_yaml((folder / "summary.yaml").read_text(), "summary.yaml"),
        parse_json((folder / "run_result.json").read_text(), "run_result.json"),
    )


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def case_file(root: Path, case: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "eval/cases" / case / name).read_text())
    return found


def case_ids(root: Path) -> list[str]:
    return sorted(folder.name for folder in (root / "eval/cases").iterdir())


class TestWriting:
    def test_the_files_on_disk_are_those_that_were_made_and_the_marker(self, root: Path) -> None:
        made = {name: text.encode() for name, text in project_files(root).items()}

        found = contents(root)

        assert found.pop(MARKER)
        assert found == made

    def test_another_process_with_another_hash_seed_writes_the_same_bytes(
        self, root: Path, tmp_path: Path
    ) -> None:
        there = tmp_path / "there"
        program = (
            "import sys, pathlib, evalkit.demo.project as demo;"
            "demo.write_project(pathlib.Path(sys.argv[1]))"
        )

        subprocess.run(
            [sys.executable, "-c", program, str(there)],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        )

        here = contents(root)
        config = here["eval.yaml"].replace(str(root).encode(), str(there).encode())
        assert contents(there) == {**here, "eval.yaml": config}

    def test_again_restores_what_is_gone_and_keeps_what_was_edited_or_added(
        self, tmp_path: Path
    ) -> None:
        config = write_project(tmp_path)
        before = contents(tmp_path)
        review = tmp_path / RUNS / RUN_ID / "review.yaml"
        review.write_text("feedback: {lamp-arrived-cracked: mine}\n")
        (tmp_path / "mine.txt").write_text("also mine")
        gone = tmp_path / "eval/cases/charged-twice/input.yaml"
        gone.unlink()

        assert write_project(tmp_path) == config

        expected = {
            "mine.txt": b"also mine",
            str(review.relative_to(tmp_path)): review.read_bytes(),
        }
        assert b"mine" in review.read_bytes()
        assert contents(tmp_path) == {**before, **expected}

    def test_the_day_on_which_the_folder_was_made_is_decided_once(self, tmp_path: Path) -> None:
        write_project(tmp_path)
        marker = tmp_path / MARKER
        today = dt.datetime.now(dt.UTC).date()
        assert today - dt.timedelta(days=1) <= made_on(tmp_path) <= today
        marker.write_text(marker.read_text().replace(str(made_on(tmp_path)), "2025-02-28"))
        write_project(tmp_path)
        assert made_on(tmp_path) == dt.date(2025, 2, 28)
        marker.write_text("Written by `evalkit demo`, by an earlier version.\n")
        assert made_on(tmp_path) == WRITTEN_FOR

    def test_a_writing_that_was_cut_short_is_completed(self, tmp_path: Path, root: Path) -> None:
        (tmp_path / MARKER).write_text("")
        (tmp_path / "README.md.part").write_text("half")

        write_project(tmp_path)

        assert set(contents(tmp_path)) == set(contents(root))

    def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "thesis.txt").write_text("years of work")

        with pytest.raises(InputError, match="not empty and holds no demo") as caught:
            write_project(tmp_path)

        assert caught.value.problems[0].file == str(tmp_path)
        assert contents(tmp_path) == {"thesis.txt": b"years of work"}

    @pytest.mark.parametrize("name", ["file", "file/below"])
    def test_a_place_where_no_folder_can_be_is_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(InputError, match="cannot be written"):
            write_project(tmp_path / name)

    @pytest.mark.parametrize("name", ["plain", 'quo"te', "two words: #1", "umlaut-ä"])
    def test_the_store_is_named_by_its_absolute_path(self, tmp_path: Path, name: str) -> None:
        with contextlib.chdir(tmp_path):
            config = write_project(Path(name))
            read = parse_project(config.read_text(), "eval.yaml")

        assert read.tracking_uri == f"sqlite:///{tmp_path / name / 'mlflow.db'}"


class TestCases:
    def test_there_are_twelve_with_inputs_and_annotations(self, root: Path) -> None:
        assert len(case_ids(root)) == 12
        for case in case_ids(root):
            assert case_file(root, case, "input.yaml")["message"]
            assert case_file(root, case, "annotations.yaml")["expected_outcome"]

    def test_they_are_as_different_as_real_ones(self, root: Path) -> None:
        inputs = {case: case_file(root, case, "input.yaml") for case in case_ids(root)}
        messages = {case: found["message"] for case, found in inputs.items()}

        assert len(set(messages.values())) == 12
        assert {found["customer"]["language"] for found in inputs.values()} == {"en", "de"}
        assert "🎁" in messages["gift-card-balance"]
        assert len(messages["delete-my-account"]) > 1500
        assert messages["third-contact-no-answer"].count("\n") > 5
        assert sum("order" not in found for found in inputs.values()) == 2
        references = [c for c in inputs if (root / "eval/cases" / c / "reference.md").exists()]
        assert 0 < len(references) < 12

    def test_expected_policies_are_sections_that_exist(self, root: Path) -> None:
        folder = root / "skills/quillmoor-support/policies"
        text = "\n".join(path.read_text() for path in folder.iterdir())
        for case in case_ids(root):
            for section in case_file(root, case, "annotations.yaml")["expected_policies"]:
                assert f"\n## {section} " in text, (case, section)

    def test_the_schema_names_every_field_of_every_case(self, root: Path, project: Project) -> None:
        for case in case_ids(root):
            for file in ("input.yaml", "annotations.yaml"):
                assert file in project.schema
                for field in case_file(root, case, file):
                    assert f"- {field}:" in project.schema, (case, field)


class TestRun:
    def test_evalkit_reads_both_runs_without_complaint(self, root: Path, project: Project) -> None:
        for run_id in (RUN_ID, BASELINE_ID):
            run = run_of(root, project, run_id)
            assert run.cases == tuple(case_ids(root))
            assert run.mode == "case"
            assert run.notes == ()
            assert set(run.judges) <= {judge.name for judge in project.judges}

    def test_there_is_a_judge_of_every_kind_but_an_agent(self, project: Project) -> None:
        kinds = {judge.kind for judge in project.judges}
        assert kinds == {"builtin", "check", "module", "prompt", "prompt_file", "llm_rubric"}

    def test_scores_have_every_type_of_value_and_errors(self, root: Path, project: Project) -> None:
        scores = run_of(root, project, RUN_ID).scores
        types: dict[str, set[type]] = {judge.name: set() for judge in project.judges}
        for score in scores:
            types[score.judge].add(type(score.value))
        assert types == {
            "cost_budget": {bool, type(None)},
            "order_quoted": {bool},
            "refund_amount": {bool, type(None)},
            "policies_cited": {list},
            "resolution": {int},
            "policy_grounding": {float, type(None)},
            "tone": {str, type(None)},
            "pairwise": {str, type(None)},
        }
        errors = sorted((score.judge, score.case_id) for score in scores if score.error)
        assert errors == [
            ("pairwise", NEVER_RUN),
            ("policy_grounding", "flicker-after-fourteen-months"),
            ("tone", NEVER_RUN),
        ]

    def test_thresholds_of_all_kinds_are_set_and_some_are_missed(
        self, root: Path, project: Project
    ) -> None:
        kinds = {kind for bounds in project.thresholds.values() for kind in bounds}
        assert kinds == {"min_mean", "min_pass_rate", "min_win_rate", "max_error_rate"}

        missed = {
            (breach.judge, breach.kind)
            for breach in breaches(project, run_of(root, project, RUN_ID))
        }

        assert missed == {
            ("cost_budget", "min_pass_rate"),
            ("order_quoted", "min_pass_rate"),
            ("policy_grounding", "max_error_rate"),
        }

    def test_aggregates_follow_from_the_scores(self, root: Path, project: Project) -> None:
        run = run_of(root, project, RUN_ID)
        for judge, figures in run.judges.items():
            values = [s.value for s in run.scores if s.judge == judge and s.value is not None]
            mean, win_rate = figures["mean"], figures.get("win_rate")
            if mean is not None:
                assert mean == pytest.approx(sum(values) / len(values), abs=1e-4), judge
            if win_rate is not None:
                assert win_rate == pytest.approx(values.count("win") / len(values), abs=1e-4)
        assert run.judges["pairwise"]["win_rate"] == 0.5455

    def test_since_the_baseline_some_cases_were_fixed_some_broken_and_some_stayed(
        self, root: Path, project: Project
    ) -> None:
        def resolution(run_id: str) -> dict[str, int]:
            run = run_of(root, project, run_id)
            return {s.case_id: s.value for s in run.scores if s.judge == "resolution"}

        now, before = resolution(RUN_ID), resolution(BASELINE_ID)

        moves = {case: (now[case] > before[case]) - (now[case] < before[case]) for case in now}
        assert sorted(moves.values()).count(1) == 5
        assert sorted(moves.values()).count(-1) == 4
        assert sorted(moves.values()).count(0) == 3

    def test_the_runs_figures_are_the_sums_of_its_cases(self, root: Path, project: Project) -> None:
        for run_id in (RUN_ID, BASELINE_ID):
            run = run_of(root, project, run_id)
            cases = list(run.case_usage.values())
            assert run.usage.num_turns == sum(case.num_turns or 0 for case in cases)
            assert run.usage.duration_s == pytest.approx(
                sum(case.duration_s or 0 for case in cases)
            )
            assert run.usage.cost_usd == pytest.approx(sum(case.cost_usd or 0 for case in cases))
            for kind, total in run.usage.tokens.items():
                assert total == sum(case.tokens[kind] for case in cases)
                assert total == sum(int(model[kind]) for model in run.usage.per_model.values())

    def test_the_runs_figures_are_those_of_the_logs(self, root: Path, project: Project) -> None:
        run = run_of(root, project, RUN_ID)
        for case in set(run.cases) - {NEVER_RUN, CUT_OFF}:
            log = (root / RUNS / RUN_ID / "cases" / case / "stdout.log").read_text()
            result, usage = json.loads(log.splitlines()[-1]), run.case_usage[case]
            assert usage.cost_usd == result["total_cost_usd"]
            by_model = result["modelUsage"].values()
            assert usage.tokens["output"] == sum(model["outputTokens"] for model in by_model)


class TestJudges:
    def test_the_check_of_eval_yaml_says_what_the_summary_says(
        self, root: Path, project: Project
    ) -> None:
        run = run_of(root, project, RUN_ID)
        said = {(s.judge, s.case_id): (s.value, s.rationale) for s in run.scores}
        for judge in (judge for judge in project.judges if judge.kind == "check"):
            body = judge.source.replace("\n", "\n    ")
            namespace: dict[str, Any] = {}
            # what the harness does with a check, too
            exec(f"def check(outputs):\n    {body}", namespace)  # noqa: S102 - our own text
            for case in run.cases:
                outputs = {
                    "inputs": case_file(root, case, "input.yaml"),
                    "annotations": case_file(root, case, "annotations.yaml"),
                    "conversation": final_reply(root, case),
                }
                if said[judge.name, case][0] is not None:
                    assert namespace["check"](outputs) == said[judge.name, case]

    def test_the_code_judge_says_what_the_summary_says(self, root: Path, project: Project) -> None:
        judge = runpy.run_path(str(root / "judges/policies_cited.py"))["judge"]
        run = run_of(root, project, RUN_ID)
        for score in (score for score in run.scores if score.judge == "policies_cited"):
            trace = "\n".join(tool_results(root, score.case_id))
            assert judge({"tool_trace": trace}) == (score.value, score.rationale)

    def test_the_review_is_about_cases_of_the_run_and_says_something_on_some(
        self, root: Path
    ) -> None:
        text = (root / RUNS / RUN_ID / "review.yaml").read_text()
        review = yaml.safe_load(text)

        assert review["run_id"] == RUN_ID
        assert review["reviewer"]
        assert set(review["feedback"]) < set(case_ids(root))
        assert "" in review["feedback"].values()
        assert sum(bool(comment) for comment in review["feedback"].values()) >= 3
        assert sum(line.lstrip().startswith("#") for line in text.splitlines()) >= 3


def final_reply(root: Path, case: str) -> str:
    log = root / RUNS / RUN_ID / "cases" / case / "stdout.log"
    if case in {NEVER_RUN, CUT_OFF}:
        return ""
    return str(json.loads(log.read_text().splitlines()[-1]).get("result", ""))


def tool_results(root: Path, case: str) -> list[str]:
    log = root / RUNS / RUN_ID / "cases" / case / "stdout.log"
    lines = log.read_text().splitlines() if log.exists() else []
    events = [json.loads(line) for line in lines[: -1 if case == CUT_OFF else None]]
    return [
        block["content"]
        for event in events
        if event["type"] == "user" and isinstance(event["message"]["content"], list)
        for block in event["message"]["content"]
        if block["type"] == "tool_result" and isinstance(block["content"], str)
    ]
