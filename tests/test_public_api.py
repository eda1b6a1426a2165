"""What `import evalkit` offers: a short, sorted list, loaded on first use."""

import importlib
import inspect
import subprocess
import sys

import pytest

import evalkit


def test_each_name_is_there_and_says_what_it_is():
    assert list(evalkit.__all__) == sorted(evalkit.__all__)
    for name in evalkit.__all__:
        found = getattr(evalkit, name)
        importlib.import_module(found.__module__)  # whose own name would hide that of a function
        assert getattr(evalkit, name) is found
        assert found.__name__ == name
        assert inspect.getdoc(found)
        if name[0].islower():  # stages take their options by name
            _, *options = inspect.signature(found).parameters.values()
            assert {option.kind.name for option in options} == {"KEYWORD_ONLY"}
    with pytest.raises(AttributeError, match="no_such_name"):
        evalkit.no_such_name  # noqa: B018 - looking it up is the test


def test_errors_form_one_tree():
    errors = [getattr(evalkit, name) for name in evalkit.__all__ if name.endswith("Error")]
    errors += [evalkit.StoreAbsent, evalkit.Unfinished]
    assert all(issubclass(error, evalkit.EvalkitError) for error in errors)


def test_importing_it_imports_nothing_heavy():
    probe = (
        "import sys, evalkit\n"
        "heavy = {'mlflow', 'pandas', 'rich', 'yaml', 'requests', 'marimo', 'anthropic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
