import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Sync the dataset", css_file="evalkit.css")

with app.setup:
    import marimo as mo

    from evalkit.cli import render
    from evalkit.dataset import sync
    from evalkit.params import SyncParams as Params
    from evalkit.ui import page
    from evalkit.ui.notebook import Host


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Sync the dataset

    MLflow evaluates against a **dataset**: rows of inputs and expectations. Your cases are folders
    on disk. This page makes the dataset hold exactly the cases, and shows what that changes before
    it writes anything. Rows that people or other tools added to the dataset are left alone.
    """)
    return


@app.cell
def opening():
    host = Host.open(Params, "sync_dataset")
    form = host.form("Compare")
    page.stack(host.header(), form)
    return form, host


@app.cell
def comparing(form, host):
    chosen = host.settings(form)
    names = ("mapping", "dataset_name", "distinguish")
    asked = {name: getattr(chosen, name) for name in names}
    with host.step("Comparing the cases with MLflow"):
        workspace = chosen.workspace()
        plan = sync.plan_sync(workspace, **asked)
    return asked, chosen, plan, workspace


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 1. What would change

    Every case on disk, and every row that evalkit wrote for a case that is gone. Select one to see
    it field by field.
    """)
    return


@app.cell
def changes(plan):
    listed = sorted(plan.changes, key=lambda change: [*plan.counts].index(change.kind))
    meaning = {
        "created": "cases without a row",
        "updated": "cases that were edited",
        "deleted": "rows without a case",
        "unchanged": "already as on disk",
        "skipped": "rows of others in the way",
    }
    table = page.table(
        [
            {
                "Case": change.case_id,
                "Change": change.kind,
                "Was called": change.renamed_from,
                "Fields that differ": ", ".join(change.edited),
            }
            for change in listed
        ],
        select="single",
        tint="Change",
        optional=["Was called", "Fields that differ"],
        nothing="There are no cases, and no rows of cases.",
    )
    counts = [(kind.capitalize(), plan.counts[kind], words) for kind, words in meaning.items()]
    page.stack(page.cards(*counts), table)
    return listed, table


@app.cell
def detail(listed, table):
    selected = page.chosen(table, listed)
    page.stack(*(page.comparison(each.fields(), title=each.case_id) for each in selected))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 2. Sync

    New rows are written before old ones go, so stopping half-way does no harm: sync again, and
    the rest is done.
    """)
    return


@app.cell
def pressing(host, plan):
    go = host.button("Sync the dataset", disabled=plan.is_empty)
    go
    return (go,)


@app.cell
def syncing(asked, chosen, go, host, workspace):
    report = None
    if host.is_due(go):
        with host.step("Syncing", ends=False) as say:
            report = sync.sync_dataset(workspace, **asked, dry_run=chosen.dry_run, say=say)
    return (report,)


@app.cell
def outcome(report):
    mo.stop(report is None)
    page.callout(
        f"The dataset mirrors the cases: **{report['created']}** created, "
        f"**{report['updated']}** updated, **{report['deleted']}** deleted, "
        f"**{report['unchanged']}** left as they were. Compare again to see that nothing is left.",
        "success",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. The dataset in MLflow

    The rows as MLflow returns them, at this moment.
    """)
    return


@app.cell
def dataset(chosen, host, report, workspace):
    report  # read again once it is synced
    with host.step("Reading the dataset"):
        rows = sync.read_dataset(workspace, chosen.dataset_name)
        where = sync.dataset_url(workspace)
    records = page.table(
        [
            {"Case": row.tags.get("evalkit.case", "not from a case")}
            | dict(row.inputs)
            | dict(row.expectations)
            for row in rows
        ],
        select="single",
        nothing="The dataset has no rows yet.",
    )
    page.stack(records, page.in_mlflow(where, workspace.tracking))
    return records, rows


@app.cell
def row(records, rows):
    picked = page.chosen(records, rows)
    page.stack(*(page.record({**each.inputs, **each.expectations}) for each in picked))
    return


@app.cell
def ending(chosen, host, report):
    mo.stop(report is None)
    host.finish(chosen, report, "sync-dataset", render.tell)
    return


if __name__ == "__main__":
    app.run()
