"""The curve as an Altair chart, for notebooks.

In    ``CurveFit``
Out   chart: curve, pointwise interval and band over the supported E2, dashed beyond; limits as rules

The report and the application draw their own, in their words and sizes.
"""

from __future__ import annotations

import altair as alt
import numpy as np

from e2analytics.models.curve import CurveFit

_COLOUR = "#0072B2"
_UNSUPPORTED = "#6B6B6B"


def plot(fit: CurveFit, outcome: str) -> alt.LayerChart:
    """Draw a fitted curve.

    Parameters
    ----------
    fit : CurveFit
    outcome : str
        Title of the vertical axis.
    """
    x = alt.X("e2_pg_ml:Q", title="E2, pg/mL").scale(type="log", nice=False)
    y = alt.Y("estimate:Q", title=outcome).scale(zero=False)
    points = alt.Chart(alt.InlineData(values=_points(fit)))
    supported = points.transform_filter("datum.supported")
    layers = [
        supported.mark_area(opacity=0.12, color=_COLOUR).encode(
            x=x, y="band_low:Q", y2="band_high:Q"
        ),
        supported.mark_area(opacity=0.25, color=_COLOUR).encode(x=x, y="ci_low:Q", y2="ci_high:Q"),
        points.mark_line(color=_UNSUPPORTED, strokeDash=[4, 4]).encode(x=x, y=y),
        supported.mark_line(color=_COLOUR).encode(x=x, y=y),
    ]
    limits = _limits(fit)
    if limits:
        rules = alt.Chart(alt.InlineData(values=limits))
        layers += [
            rules.mark_rect(opacity=0.12).encode(x=alt.X("low:Q").scale(type="log"), x2="high:Q"),
            rules.mark_rule(strokeDash=[6, 3]).encode(x="value:Q", tooltip=["limit:N", "value:Q"]),
        ]
    return alt.LayerChart(layer=layers, title=alt.Title(fit.verdict, subtitle=fit.explanation))


def _points(fit: CurveFit) -> list[dict[str, float | bool]]:
    names = ("e2_pg_ml", "estimate", "ci_low", "ci_high", "band_low", "band_high")
    values = np.column_stack([getattr(fit, name) for name in names]).tolist()
    return [
        {**dict(zip(names, row, strict=True)), "supported": supported}
        for row, supported in zip(values, fit.supported.tolist(), strict=True)
    ]


def _limits(fit: CurveFit) -> list[dict[str, float | str | None]]:
    named = {"lower limit": fit.lower_limit, "upper limit": fit.upper_limit}
    return [
        {"limit": name, "value": limit.value_pg_ml, "low": limit.ci_low, "high": limit.ci_high}
        for name, limit in named.items()
        if limit.value_pg_ml is not None
    ]
