"""The limit in use: the lower limit of E2 that flags go by on a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from e2analytics.settings import FlagSettings


@dataclass(frozen=True, slots=True)
class LimitInUse:
    """A lower limit of E2, as an equivalent of mass spectrometry.

    Attributes
    ----------
    lower_limit_pg_ml
        The limit.
    source
        ``fitted`` or ``literature``.
    model_id, site
        The model and the curve that it was fitted by; None for a limit of the literature.
    """

    lower_limit_pg_ml: float
    source: str
    model_id: str | None
    site: str | None


def limit_in_use(limits: pl.DataFrame, settings: FlagSettings, *, as_of: date) -> LimitInUse:
    """Return the limit in use on a day: the last one adopted, else that of the literature.

    Parameters
    ----------
    limits
        The table ``limits``: every limit ever adopted.
    settings
        Hold the limit of the literature.
    as_of
        The day.
    """
    adopted = limits.filter(pl.col("adopted_on") <= as_of)
    if adopted.is_empty():
        return LimitInUse(settings.literature_limit_pg_ml, "literature", None, None)
    last = adopted.row(-1, named=True)
    return LimitInUse(last["lower_limit_pg_ml"], last["source"], last["model_id"], last["site"])
