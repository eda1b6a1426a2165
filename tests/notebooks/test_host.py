"""How a notebook ends where nobody looks at a page: as a script, in a kernel, on Databricks."""

import json
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from evalkit import EvalkitError, InputError, Problem, StoreAbsent, StoreError
from evalkit.arguments import Resolved
from evalkit.params import ProjectParams
from evalkit.ui.notebook import Host
from evalkit.ui.place import Place, widget_values

WRONG = InputError(Problem("no such file", "eval.yaml", fix="name another"))
ABSENT = StoreAbsent("MLflow is not reachable")
BROKEN = StoreError("MLflow answered 500", {"created": 2})


class Left(Exception):
    """Databricks' way out of a notebook."""


@dataclass
class Dbutils:
    """What of Databricks' ``dbutils`` a notebook uses."""

    values: dict[str, str] = field(default_factory=dict)

    @property
    def widgets(self):
        return SimpleNamespace(getArgument=self.values.get)

    @property
    def notebook(self):
        def leave(said):
            raise Left(said)

        return SimpleNamespace(exit=leave)


SCRIPT = Place("script")
PROGRAM = Place("program")
KERNEL = Place("kernel")
JOB_SCRIPT = Place("script", on_databricks=True)
JOB_NOTEBOOK = Place("kernel", on_databricks=True, dbutils=Dbutils())


def host(place, **values):
    return Host("sync_dataset", place, Resolved(ProjectParams(**values), {}))


def fail(place, error, **values):
    with host(place, **values).step("Looking"):
        raise error


@pytest.mark.parametrize(
    ("place", "error", "ending"),
    [
        (SCRIPT, WRONG, SystemExit(2)),
        (SCRIPT, BROKEN, SystemExit(1)),
        (SCRIPT, ABSENT, SystemExit(0)),
        (JOB_SCRIPT, WRONG, WRONG),
        (JOB_SCRIPT, ABSENT, SystemExit(0)),
        (JOB_NOTEBOOK, WRONG, WRONG),
        (JOB_NOTEBOOK, ABSENT, Left()),
        (KERNEL, ABSENT, ABSENT),
        (PROGRAM, ABSENT, ABSENT),
    ],
)
def test_an_error_ends_the_notebook_in_the_way_of_its_place(place, error, ending):
    with pytest.raises(type(ending)) as end:
        fail(place, error)
    if isinstance(ending, SystemExit):
        assert end.value.code == ending.code


def test_with_strict_an_absent_mlflow_fails_the_script():
    with pytest.raises(SystemExit) as end:
        fail(SCRIPT, ABSENT, strict=True)
    assert end.value.code == 1


def test_with_json_the_last_line_is_a_report_whatever_happens(capsys):
    for error in (WRONG, BROKEN, ABSENT):
        with pytest.raises(SystemExit):
            fail(SCRIPT, error, json=True)
    wrong, broken, absent = map(json.loads, capsys.readouterr().out.splitlines())
    assert wrong["problems"][0]["fix"] == "name another"
    assert broken == {"created": 2, "error": "MLflow answered 500"}
    assert absent == {"skipped": True, "reason": "MLflow is not reachable"}


def test_a_skipped_job_leaves_its_report_behind():
    with pytest.raises(Left, match='"skipped": true'):
        fail(JOB_NOTEBOOK, ABSENT)


def test_halting_is_an_input_error_where_nobody_can_be_asked():
    with pytest.raises(InputError, match=r"There are no runs yet \(run the eval\)"):
        host(PROGRAM).halt("There are no runs yet", fix="run the eval")


@pytest.mark.parametrize(("place", "ending"), [(SCRIPT, SystemExit), (KERNEL, EvalkitError)])
def test_finishing_with_strict_fails_where_something_was_left_undone(place, ending):
    settings = ProjectParams(strict=True)
    with pytest.raises(ending):
        host(place).finish(settings, {"skipped": 2}, "sync-dataset", lambda *_: None)


def test_widgets_that_are_empty_or_not_there_say_nothing():
    tools = Dbutils({"config": "a/eval.yaml", "run_id": ""})
    assert widget_values(tools, ["config", "run_id", "limit"]) == {"config": "a/eval.yaml"}
    assert widget_values(None, ["config"]) == {}
