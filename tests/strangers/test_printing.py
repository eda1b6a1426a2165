"""Text of files is printed as it is: nothing between colons becomes a picture."""

import pytest

from evalkit.cli import main


@pytest.mark.parametrize("name", ["order:100:b", ":bug:", "a :smile: [red]b", ":x::+1:"])
def test_names_between_colons_are_printed_as_they_are(project, database_uri, capfd, name):
    project.remove("cases")
    project.add_case(name, f"ask {name}", "x")
    where = ["--config", str(project.root), "--tracking-uri", database_uri]
    mapping = ["--mapping", str(project.root / "tmp/schema_mapping.json")]
    assert main(["sync-dataset", *where, *mapping]) == 0
    said = capfd.readouterr().out
    assert f"created   {name}\n" in said
    assert f"inputs.prompt: ask {name}\n" in said
