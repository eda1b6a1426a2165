"""How all charts look: clear ground, quiet lines, on a light page and on a dark one."""

from __future__ import annotations

from typing import Any

BLUE, GREEN, RED, GREY = "#0090ff", "#30a46c", "#e5484d", "#8b8d98"
"""Of a middle brightness, so that they read on both grounds."""


def dressed(chart: Any) -> Any:
    """The chart without a ground of its own and with quiet grid lines.

    Args:
        chart: A whole altair chart, not one that becomes part of another.
    """
    return (
        chart.properties(background="transparent")
        .configure_view(stroke=None)
        .configure_axis(gridColor=GREY, gridOpacity=0.25, domainColor=GREY, tickColor=GREY)
        .configure_title(anchor="start", subtitleColor=GREY)
    )
