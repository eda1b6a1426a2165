import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Map the cases", css_file="evalkit.css")

with app.setup:
    import marimo as mo

    from evalkit import drafting
    from evalkit.cli import render
    from evalkit.host import casefiles, fields
    from evalkit.params import MapParams as Params
    from evalkit.ui import page
    from evalkit.ui.notebook import Host


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
    host.header()
    return (host,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 1. Settings
    """)
    return


@app.cell
def settings(host):
    form = host.form("Propose")
    form
    return (form,)


@app.cell
def proposing(form, host):
    chosen = host.settings(form)
    with host.step("Reading the cases"):
        draft = drafting.open_draft(
            chosen.workspace(), out=chosen.out, by=chosen.by, model=chosen.model
        )
    return chosen, draft


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 2. What the schema says, and what a case holds

    The proposal rests on both: the words of the config about the files, and the files of all cases.
    """)
    return


@app.cell
def memory():
    at, go_to = mo.state(0)
    return at, go_to


@app.cell
def stepping(draft, go_to, host):
    steps = casefiles.stepper(host, draft.case_ids, go_to)
    steps
    return (steps,)


@app.cell
def evidence(at, draft, host):
    case_id, title = draft.case_at(at())
    with host.step():
        files = draft.files(case_id)
    schema = casefiles.prose(draft.schema)
    casefiles.beside(schema, casefiles.case_files(title, files), wider=1.25)
    return case_id, title


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. The mapping

    Where each field goes, and what speaks for it. Change any of them. The worst mistake is an
    expected answer among the inputs: the skill would see it.
    """)
    return


@app.cell
def beginning(draft, host):
    origin = fields.origin_picker(host, draft)
    origin
    return (origin,)


@app.cell
def choosing(draft, host, origin):
    start = draft.begin(fields.picked_origin(origin))
    editor = fields.editor(host, start)
    editor
    return editor, start


@app.cell
def the_rest(start):
    fields.unselectable(start)
    return


@app.cell
def revising(draft, editor, start):
    revised = drafting.revise(start, fields.sides(editor, start))
    fields.advice(revised, draft)
    return (revised,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 4. The record that results

    What the case becomes in MLflow, as the mapping stands now. Step through the cases to see
    whether it holds for all of them.
    """)
    return


@app.cell
def stepping_again(draft, go_to, host):
    further_steps = casefiles.stepper(host, draft.case_ids, go_to)
    further_steps
    return (further_steps,)


@app.cell
def record(case_id, draft, host, revised, title):
    with host.step():
        row = draft.record(revised.mapping, case_id)
    fields.record_view(title, row)
    return (row,)


@app.cell
def lacking(draft, revised):
    mapped = draft.mapped(revised.mapping)
    fields.gap_table(mapped)
    return (mapped,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 5. Save

    The file is yours: edit it by hand if you like, and this page begins with what it says. It is
    never overwritten unless you allow it.
    """)
    return


@app.cell
def standing(draft, host, revised, saved):
    host.settled(saved)
    fields.standing_view(draft.standing(revised.mapping), str(draft.file))
    return


@app.cell
def pressing(chosen, host):
    replacing = fields.replace_switch(host, force=chosen.force)
    go = host.button("Save the mapping")
    page.stack(replacing, go)
    return go, replacing


@app.cell
def saving(chosen, draft, go, host, replacing, revised):
    force = fields.may_replace(replacing, force=chosen.force)
    saved = host.work("Save", lambda say: draft.save(revised, force=force), go)
    return (saved,)


@app.cell
def outcome(host, saved):
    report = host.outcome(saved)
    page.callout(
        f"Saved: **{len(report['inputs'])}** inputs and **{len(report['expectations'])}** "
        "expectations. Next, sync the dataset.",
        "success",
    )
    return (report,)


@app.cell
def ending(chosen, host, report):
    host.finish(chosen, report, render.mapping)
    return


if __name__ == "__main__":
    app.run()
