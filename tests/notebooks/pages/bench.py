import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Workbench")

with app.setup:
    import time
    from dataclasses import dataclass
    from typing import Literal

    import marimo as mo

    from evalkit import Unfinished
    from evalkit.arguments import param
    from evalkit.params import ProjectParams
    from evalkit.ui import page
    from evalkit.ui.notebook import Host

    @dataclass(frozen=True)
    class Params(ProjectParams):
        """Count to a number, slowly."""

        count: int = param(20, "How far to count", link=True)
        pace: float = param(0.05, "Seconds from one to the next")
        mood: Literal["calm", "clumsy"] = param("calm", "Clumsy: fail half-way")


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Workbench

    A page for trying what all pages share.
    """)
    return


@app.cell
def opening():
    host = Host.open(Params, "bench")
    return (host,)


@app.cell
def settings(host):
    form = host.form("Use")
    form
    return (form,)


@app.cell
def used(form, host):
    chosen = host.settings(form)
    page.cards(("Count", chosen.count, "how far"), ("Mood", chosen.mood, "how it goes"))
    return (chosen,)


@app.cell
def pressing(host):
    go = host.button("Count")
    go
    return (go,)


@app.cell
def counting(chosen, go, host):
    def count(say):
        for number in range(1, chosen.count + 1):
            say(f"{number} of {chosen.count} counted")
            time.sleep(chosen.pace)
            if chosen.mood == "clumsy" and number * 2 > chosen.count:
                raise Unfinished("stumbled", {"counted": number})
        return {"counted": chosen.count}

    counted = host.work("Count", count, go)
    return (counted,)


@app.cell
def result(counted, host):
    report = host.outcome(counted, "Counts when you press the button.")
    page.callout(f"Counted to **{report['counted']}**.", "success")
    return (report,)


@app.cell
def reacting():
    echo = mo.ui.text(label="Echo")
    echo
    return (echo,)


@app.cell
def echoed(echo):
    page.text(f"heard {echo.value}")
    return


@app.cell
def ending(chosen, host, report):
    host.finish(chosen, report, lambda terminal, told: terminal.done(f"counted {told['counted']}"))
    return


if __name__ == "__main__":
    app.run()
