import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="evalkit", css_file="evalkit.css")

with app.setup:
    import marimo as mo

    from evalkit.host import ways


@app.cell(hide_code=True)
def _():
    mo.md("""
    # evalkit

    You evaluate an agent with **cases** on disk, and people look at it in **MLflow**. evalkit joins
    the two, both ways. Each stage has a page; go through them in this order, or take the one that
    you need.
    """)
    return


@app.cell
def stages():
    ways.stage_cards()
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    Until you name your own `eval.yaml`, every page shows a **demo project**: a support agent with
    12 cases and two finished runs. Nothing there can break.
    """)
    return


if __name__ == "__main__":
    app.run()
