import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Map the cases", css_file="evalkit.css")

with app.setup:
    import html
    from pathlib import Path

    import marimo as mo
    import pandas as pd

    from evalkit import errors
    from evalkit.cli import render
    from evalkit.dataset import cases as case_files
    from evalkit.dataset import mapping_file, proposal
    from evalkit.dataset.mapping import apply_mapping
    from evalkit.params import MapParams as Params
    from evalkit.ui import page
    from evalkit.ui.notebook import Host, group

    GOES_TO = {"input": "inputs", "expectation": "expectations", "leave out": None}
    GROUPS = {
        "inputs": "Inputs: what the skill receives",
        "expectations": "Expectations: what it should produce, kept from it",
        None: "Left out",
    }
    ROW = "display: flex; flex-wrap: wrap; gap: 0 1rem; padding: 9px 0; border-top: 1px solid #8884"
    UNSEEN = "position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)"
    PARTLY = "color: var(--amber-11, #ab6400); font-weight: 600"
    NO_TEXT = "(no text, or too large to show)"
    LONGEST_FILE = 6000  # characters of a case's file that are shown


@app.function
def line_of(choice, control=""):
    """A field as a row: where it goes, what it is called, where it is found, and why."""

    def plain(text):
        """Text of a file in a template, where braces stand for controls."""
        return html.escape(text).replace("{", "{{").replace("}", "}}")

    hits, total = choice.coverage
    found = f'<code style="overflow-wrap: anywhere">{plain(choice.key)}</code>'
    some = f' <span style="{PARTLY}">in {hits} of {total} cases</span>' if 0 < hits < total else ""
    name = f"<b>{plain(choice.name)}</b> · " if choice.selector and choice.side else ""
    why = f'<div style="{page.MUTED}; font-size: 0.875rem">{plain(choice.reason)}</div>'
    return (
        f'<div style="{ROW}"><div style="flex: 0 0 8.5rem">{control}</div>'
        f'<div style="flex: 1 1 16rem; min-width: 0">{name}{found}{some}{why}</div></div>'
    )


@app.function
def editor_of(start):
    """A dropdown for each field, under what it starts as; its value is theirs by place."""
    rows, controls = {side: [] for side in GROUPS}, {}
    for place, choice in enumerate(start.choices):
        if choice.selector:
            label = f'<span style="{UNSEEN}">{page.quoted(choice.key)} goes to</span>'
            now = next(words for words, side in GOES_TO.items() if side == choice.side)
            controls[f"c{place}"] = mo.ui.dropdown(
                list(GOES_TO), value=now, label=label, allow_select_none=False
            )
        rows[choice.side].append(line_of(choice, f"{{c{place}}}" if choice.selector else ""))
    shown = (
        f'<h4 style="margin: 1.25rem 0 0.5rem">{GROUPS[side]}</h4>{"".join(found)}'
        for side, found in rows.items()
        if found
    )
    return group(f"<div>{''.join(shown)}</div>", **controls)


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Map the cases

    A dataset in MLflow has **inputs**, which the skill receives, and **expectations**, which only
    the judges see. Your cases are folders with files. A mapping says which field of which file
    becomes which. This page proposes one, says why, and lets you change it.
    """)
    return


@app.cell
def opening():
    host = Host.open(Params, "map_dataset")
    form = host.form("Propose")
    page.stack(host.header(), form)
    return form, host


@app.cell
def proposing(form, host):
    chosen = host.settings(form)
    with host.step("Reading the cases"):
        workspace = chosen.workspace()
        cases = list(case_files.load_cases(workspace.files.cases_dir))
        proposed = mapping_file.propose_mapping(workspace, cases, by=chosen.by, model=chosen.model)
    file = Path(chosen.out or workspace.mapping_file)
    return cases, chosen, file, proposed, workspace


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 1. Where each field goes

    Change any of them. The worst mistake is an expected answer among the inputs: the skill would
    see it.
    """)
    return


@app.cell
def schema(workspace):
    nothing = page.callout(
        "The config has no `dataset.schema`, so that names and contents have to speak for "
        "themselves. A sentence there about each file makes the proposal better."
    )
    prose = workspace.files.project.schema.strip()
    page.folded("What dataset.schema in the config says", prose) or nothing
    return


@app.cell
def beginning(file, host, proposed):
    try:
        written = mapping_file.saved_mapping(file)
    except errors.InputError:
        written = None  # the page says so where it is saved
    offered = {f"the file {file}": "file", "the proposal": "proposal"}
    differs = written and proposal.differences(written, proposed.mapping)
    origin = mo.ui.radio(offered, value=next(iter(offered)), label="Start from", inline=True)
    origin = origin if host.person and differs else None
    origin
    return origin, written


@app.cell
def choosing(cases, host, origin, proposed, written):
    from_file = origin is not None and origin.value == "file"
    start = proposed.as_written(written, cases) if from_file else proposed
    editor = editor_of(start) if host.person else None
    editor
    return editor, start


@app.cell
def revising(cases, editor, file, proposed, start):
    said = editor.value if editor is not None else {}
    sides = (
        GOES_TO[said[f"c{place}"]] if f"c{place}" in said else choice.side
        for place, choice in enumerate(start.choices)
    )
    revised = start.revised(list(sides))
    mapping = revised.mapping
    mapped = [apply_mapping(mapping, case) for case in cases]
    problems = mapping_file.problems_of(mapping, mapped, str(file))
    exposed = ", ".join(f"**{page.quoted(name)}**" for name in proposed.exposed(mapping))
    warning = f"As an input, {exposed} would show the skill what is expected of it."
    page.stack(
        page.callout(warning, "danger") if exposed else None,
        page.problem(errors.InputError(*problems)) if problems else None,
    )
    return mapped, mapping, revised


@app.cell
def lacking(host, mapped):
    names = [each.record.case_id for each in mapped]
    gaps = pd.DataFrame({"Case": names, "Lacks": [", ".join(each.lacking) for each in mapped]})
    count, selected = (gaps["Lacks"] != "").sum(), host.selected("case")
    said_so = f"**{count} of {len(mapped)} cases lack a field**"
    table = page.table(
        gaps,
        select="single",
        page_size=6,
        initial_selection=[names.index(selected) if selected in names else 0],
        on_change=lambda rows: [host.remember("case")(each) for each in rows["Case"]],
        optional=["Lacks"],
        wrapped_columns=["Lacks"],
        label=said_so if count else f"All **{len(mapped)}** cases have every field of the mapping.",
    )
    page.stack(mo.md("## 2. What a case becomes: select one"), table)
    return (table,)


@app.cell
def record(cases, host, mapping, table, workspace):
    case = next(iter(page.chosen(table, cases)), cases[0])
    folder = workspace.files.cases_dir
    with host.step():
        texts = case_files.read_texts(folder, case.case_id)
        again = case_files.read_case(folder, case.case_id, only=mapping.files)
    row = apply_mapping(mapping, again)
    page.beside(
        [
            page.folded(name, NO_TEXT if text is None else text[:LONGEST_FILE], opened=True)
            for name, text in texts.items()
        ],
        [
            page.record(row.record.inputs, title=f"Inputs of {case.case_id}"),
            page.record(row.record.expectations, title="Expectations"),
            page.folded("What it lacks", row.lacking),
        ],
    )
    return (row,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. Save

    The file is yours: edit it by hand if you like, and this page begins with what it says. It is
    never overwritten unless you allow it.
    """)
    return


@app.cell
def standing(file, mapping, report):
    report  # looked at again once it is saved
    name = f"**{page.quoted(file)}**"
    try:
        now = mapping_file.saved_mapping(file)
        changes = proposal.differences(now, mapping) if now else []
        words = f"{name} says something else in {len(changes)} field{'s' * (len(changes) != 1)}. "
        if now is None:
            told = page.callout(f"There is no {name} yet. Saving makes it.")
        elif changes:
            told = page.callout(f"{words}It is kept until you replace it.", "warn")
            told = page.stack(told, page.comparison(changes))
        else:
            told = page.callout(f"{name} says exactly this.", "success")
    except errors.InputError as error:
        told = page.callout(f"{name} is no valid mapping. It is kept until you replace it.", "warn")
        told = page.stack(told, page.problem(error))
    told
    return


@app.cell
def pressing(chosen, host):
    replacing = mo.ui.switch(value=chosen.force, label="Replace the file")
    go = host.button("Save the mapping")
    page.stack(replacing if host.person else None, go)
    return go, replacing


@app.cell
def saving(file, go, host, replacing, revised, workspace):
    report = None
    if host.is_due(go):
        with host.step("Saving", ends=False):
            report = mapping_file.save_mapping(workspace, revised, file, force=replacing.value)
    return (report,)


@app.cell
def outcome(report):
    mo.stop(report is None)
    page.callout(
        f"Saved: **{len(report['inputs'])}** inputs and **{len(report['expectations'])}** "
        "expectations. Next, sync the dataset.",
        "success",
    )
    return


@app.cell
def ending(chosen, host, report):
    mo.stop(report is None)
    host.finish(chosen, report, "map", render.tell)
    return


if __name__ == "__main__":
    app.run()
