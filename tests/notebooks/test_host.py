"""How a notebook ends where nobody looks at a page: as a script, in a kernel, on Databricks."""

import json
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


class Dbutils:
    """What of Databricks' ``dbutils`` a notebook uses."""

    def __init__(self, values=()):
        self.widgets = SimpleNamespace(getArgument=dict(values).get)
        self.notebook = SimpleNamespace(exit=self.leave)

    @staticmethod
    def leave(said):
        raise Left(said)


SCRIPT, PROGRAM, KERNEL = map(Place, ("script", "program", "kernel"))
JOB_SCRIPT = Place("script", on_databricks=True)
JOB_NOTEBOOK = Place("kernel", on_databricks=True, dbutils=Dbutils())


def host(place, **values):
    return Host("sync_dataset", place, Resolved(ProjectParams(**values), {}))


@pytest.mark.parametrize(
    ("place", "told", "error", "ending"),
    [
        (SCRIPT, {}, WRONG, SystemExit(2)),
        (SCRIPT, {}, BROKEN, SystemExit(1)),
        (SCRIPT, {}, ABSENT, SystemExit(0)),
        (SCRIPT, {"strict": True}, ABSENT, SystemExit(1)),
        (JOB_SCRIPT, {}, WRONG, WRONG),
        (JOB_SCRIPT, {}, ABSENT, SystemExit(0)),
        (JOB_NOTEBOOK, {}, WRONG, WRONG),
        (JOB_NOTEBOOK, {}, ABSENT, Left('{"skipped": true, "reason": "MLflow is not reachable"}')),
        (KERNEL, {}, ABSENT, ABSENT),
        (PROGRAM, {}, ABSENT, ABSENT),
    ],
)
def test_an_error_ends_the_notebook_in_the_way_of_its_place(place, told, error, ending):
    with pytest.raises(type(ending)) as end, host(place, **told).step("Looking"):
        raise error
    assert str(end.value) == str(ending)


def test_with_json_the_last_line_is_a_report_of_what_was_done_and_what_was_not(capsys):
    with pytest.raises(SystemExit), host(SCRIPT, json=True).step("Looking"):
        raise BROKEN
    report = json.loads(capsys.readouterr().out)
    assert report == {"created": 2, "error": "MLflow answered 500"}


def test_where_nobody_can_be_asked_halting_is_an_error_as_is_with_strict_what_was_left_undone():
    with pytest.raises(InputError, match=r"There are no runs yet \(run the eval\)"):
        host(PROGRAM).halt("There are no runs yet", fix="run the eval")
    for place, ending in ((SCRIPT, SystemExit), (KERNEL, EvalkitError)):
        with pytest.raises(ending):
            host(place).finish(
                ProjectParams(strict=True), {"skipped": 2}, "sync-dataset", lambda *_: None
            )


def test_widgets_that_are_empty_or_not_there_say_nothing():
    tools = Dbutils({"config": "a/eval.yaml", "run_id": ""})
    assert widget_values(tools, ["config", "run_id", "limit"]) == {"config": "a/eval.yaml"}
    assert widget_values(None, ["config"]) == {}
