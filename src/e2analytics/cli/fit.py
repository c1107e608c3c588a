"""``fit``: only fit the curves, and flag with them."""

from __future__ import annotations

from e2analytics.cli.options import DEFAULT_STORE, AsOfOption, ConfigOption, StoreOption
from e2analytics.cli.parts import run_part
from e2analytics.errors import TooLittleDataError


def fit(
    store: StoreOption = DEFAULT_STORE, as_of: AsOfOption = None, config: ConfigOption = None
) -> None:
    """Fit the curves anew to what the store holds, and flag with them."""
    done = run_part("fit", store, as_of, config)
    summary = done.table("curve_summary")
    if summary["verdict"].is_null().all():
        reasons = "; ".join(summary["why_not"].unique().sort())
        raise TooLittleDataError(f"No curve could be fitted: {reasons}")
