"""Arguments of a task become commands of stages."""

import pytest
from eval_project import RUN_ID

from evalkit import EvalkitError, InputError
from evalkit.cli.jobs import main, read_parameters, stage_commands

CONFIG = "--config=/Volumes/a b/eval=.yaml"


def test_each_stage_that_is_not_left_out_gets_what_it_knows():
    given = ("--run_id=r 1", "--mapping=m.json", "--dry-run=true", "--tracking_uri=")
    told = ("--stages=sync-dataset, log-results", CONFIG, *given, "--skip_stages=")
    sync = ["sync-dataset", CONFIG, "--mapping=m.json", "--dry-run=true"]
    log = ["log-results", CONFIG, "--run-id=r 1"]
    assert stage_commands(read_parameters(told)) == [sync, log]
    assert stage_commands(read_parameters((*told[:-1], "--skip_stages=sync-dataset"))) == [log]


def test_a_task_of_which_nothing_is_left_succeeds_and_says_so(capfd):
    main(["--stages=sync-dataset", "--skip_stages=sync-dataset"])
    assert "nothing is left to do: skip_stages=sync-dataset" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["sync-dataset"], "'sync-dataset' is not --name=value"),
        (["--stages", "check"], "'--stages' is not --name=value"),
        (["--config=x"], "no stage is named"),
        (["--stages=check,snyc"], "no stage 'snyc'"),
        (["--stages=check", "--skip_stages=snyc"], "no stage 'snyc'"),
        (["--stages=check", "--confg=x"], "--confg: no stage has this parameter"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(argv, complaint):
    with pytest.raises(InputError, match=complaint):
        main(argv)


@pytest.mark.parametrize("stage", ["sync-dataset", "all"])
def test_an_absent_mlflow_fails_a_task_that_a_command_would_pass_over(project, monkeypatch, stage):
    monkeypatch.chdir(project.root)
    argv = [f"--stages={stage}", "--tracking_uri=http://127.0.0.1:9", "--strict=false"]
    with pytest.raises(EvalkitError, match=f"{stage}: .*127.0.0.1:9 is not reachable"):
        main([*argv, f"--run_id={RUN_ID}"])
