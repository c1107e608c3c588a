"""What a run leaves for the next one, so that a night computes only what can have changed.

No table of anybody's answers: the next run could compute all of it anew, and does where ``basis`` differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from e2analytics.tables.sums import Sums

DUE_SCHEMA: Final = {"patient_id": pl.String(), "due_on": pl.Date()}
SHARED_SCHEMA: Final = {
    "table": pl.String(),
    "number": pl.String(),
    "patient_id": pl.String(),
}


@dataclass(frozen=True, kw_only=True)
class State:
    """What a run leaves for the next one.

    Attributes
    ----------
    basis
        A digest of all that every man's answers depend on: rules, settings, the model, the limit, the months.
    as_of
        The day up to which answers are.
    due
        Grain patient_id: ``due_on``, the next day on which time alone may change his answers.
    shared
        Grain table, number, patient_id: numbers of rows that several patients' rows have.
    sums
        Counts over all men, by name.
    """

    basis: str
    as_of: date
    due: pl.DataFrame
    shared: pl.DataFrame
    sums: Sums
