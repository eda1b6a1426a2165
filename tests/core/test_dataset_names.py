"""What the table is called that holds an evaluation's cases in a workspace."""

import pytest

from evalkit.context import table_name
from evalkit.errors import InputError

VOLUME = "/Volumes/main/evals/state/project"


@pytest.mark.parametrize(
    ("named", "evaluation", "folder", "table"),
    [
        ("a.b.c", "support", VOLUME, "a.b.c"),
        ("a.b-1.ü", "support", VOLUME, "a.b-1.ü"),
        (None, "Second brain-wiki", VOLUME, "main.evals.second_brain_wiki"),
        (None, "wiki: all!", VOLUME, "main.evals.wiki_all_6c095016"),
        (None, "日本", VOLUME, "main.evals.cases_06ce86d2"),
    ],
)
def test_it_is_what_was_asked_for_else_beside_the_volume(named, evaluation, folder, table):
    assert table_name(named, evaluation, folder) == table


@pytest.mark.parametrize(
    ("named", "folder"),
    [
        ("support", VOLUME),
        ("a.b.c.d", VOLUME),
        ("a..c", VOLUME),
        ("`a`.`b`.`c`", VOLUME),
        ("", VOLUME),
        (None, "/home/me"),
        (None, "/Volumes/main"),
    ],
)
def test_a_name_that_is_none_is_refused(named, folder):
    with pytest.raises(InputError, match="--dataset-name: .*CATALOG.SCHEMA.TABLE"):
        table_name(named, "support", folder)
