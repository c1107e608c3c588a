"""Words that several verbs print."""

import polars as pl

from e2analytics.cli.wording import by_site


def test_curves_are_shown_in_one_order_fitted_now_or_read_from_the_store():
    summary = pl.DataFrame(
        {"site": ["femoral_neck", "lumbar_spine", "pooled", "total_hip"], "outcome": ["change"] * 4}
    )

    shown = by_site(summary)["site"].to_list()

    assert shown == ["lumbar_spine", "total_hip", "femoral_neck", "pooled"]
