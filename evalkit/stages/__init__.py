"""The stages as a person or a program calls them: paths and names in, a report out.

Command line, notebooks and jobs all call these functions; each opens the parts it needs, runs the
flow and returns the stage's report, a dict of JSON values with the keys that the README lists.
"""

from evalkit.context import MAPPING_FILE
from evalkit.dataset.mapping_file import find_mapping, map_schema
from evalkit.dataset.sync import dataset_url, plan_sync, read_dataset, sync_dataset
from evalkit.feedback.push_pull import Names, Source, pull_feedback, push_feedback
from evalkit.log_run import log_results
from evalkit.stages.checking import check
from evalkit.stages.sequence import run_all, run_stages
from evalkit.stages.speaking import Report, Say, Tell

__all__ = [
    "MAPPING_FILE",
    "Names",
    "Report",
    "Say",
    "Source",
    "Tell",
    "check",
    "dataset_url",
    "find_mapping",
    "log_results",
    "map_schema",
    "plan_sync",
    "pull_feedback",
    "push_feedback",
    "read_dataset",
    "run_all",
    "run_stages",
    "sync_dataset",
]
