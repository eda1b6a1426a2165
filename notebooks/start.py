import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="evalkit", css_file="evalkit.css")

with app.setup:
    import marimo as mo

    from evalkit import ui


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
    _card = """
    <a href="?file={file}" style="display: block; padding: 0.75rem 1rem; border-radius: 8px;
      text-decoration: none; color: inherit; border: 1px solid var(--border, #ddd)">
    <div style="font-size: 1.1rem; font-weight: 600">
      <span style="display: inline-block; width: 1.6rem; line-height: 1.6rem; text-align: center;
        border-radius: 999px; background: var(--grass-9, #46a758); color: white;
        font-size: 0.85rem">{number}</span> {title}</div>
    <div style="color: var(--muted-foreground, #666); margin-top: 0.5rem">{about}</div></a>
    """
    _cards = "".join(
        _card.format(file=each.file, number=number, title=each.title, about=each.about)
        for number, each in enumerate(ui.present(), 1)
    )
    mo.Html(
        '<nav style="display: grid; gap: 1rem; grid-template-columns: '
        f'repeat(auto-fit, minmax(min(100%, 300px), 1fr))">{_cards}</nav>'
    )
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
