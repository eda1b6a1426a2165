"""What `import evalkit` offers: a short, sorted list, loaded on first use."""

import importlib
import inspect
import subprocess
import sys

import pytest

import evalkit


def test_the_names_are_sorted():
    assert list(evalkit.__all__) == sorted(evalkit.__all__)


@pytest.mark.parametrize("name", evalkit.__all__)
def test_each_name_is_there_and_says_what_it_is(name):
    found = getattr(evalkit, name)
    importlib.import_module(found.__module__)  # whose own name would hide that of a function
    assert getattr(evalkit, name) is found
    assert found.__name__ == name
    assert inspect.getdoc(found)


@pytest.mark.parametrize("name", [n for n in evalkit.__all__ if n[0].islower()])
def test_stages_take_their_options_by_name(name):
    _, *options = inspect.signature(getattr(evalkit, name)).parameters.values()
    assert {option.kind.name for option in options} == {"KEYWORD_ONLY"}


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        evalkit.no_such_name  # noqa: B018 - looking it up is the test


def test_importing_it_imports_nothing_heavy():
    probe = (
        "import sys, evalkit\n"
        "heavy = {'mlflow', 'pandas', 'rich', 'yaml', 'requests', 'marimo', 'anthropic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_errors_form_one_tree():
    errors = [getattr(evalkit, name) for name in evalkit.__all__ if name.endswith("Error")]
    errors += [evalkit.StoreAbsent, evalkit.Unfinished]
    assert all(issubclass(error, evalkit.EvalkitError) for error in errors)
