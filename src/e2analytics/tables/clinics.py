"""Clinics: what a man's answers depend on beyond his own rows, the rows of his clinic.

In    the sums ``clinic_rows`` and ``scanner_makers`` (``measures.clinic_rows`` makes them and these)
Out   ``Clinics``   grain clinic_id, as of a day
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

ANY_ROW: Final = "any_row"
ANY_RESULT: Final = "any_result"
WAITING_TESTOSTERONE: Final = "waiting_testosterone"
BREAST_SYMPTOM: Final = "breast_symptom"
MAN: Final = "man"
"""Sources of the sum ``clinic_rows`` beside those of quality measures.

Every row that came; every laboratory result; orders of testosterone in quarantine; named symptoms of the breast; the
men, who have no day.
"""


@dataclass(frozen=True, kw_only=True)
class Clinics:
    """Facts of each clinic that has a man.

    Attributes
    ----------
    as_of
        The day.
    facts
        Grain ``clinic_id``: ``newest_result_on``, the day of its newest laboratory result, null without any;
        ``tells_of_testosterone``, whether it has sent anything of testosterone of any man; ``names_breast_symptoms``,
        whether it has ever named a symptom of the breast.
    unavailable
        Grain ``clinic_id, measure``: why its data do not allow a quality measure on the day, ``not_measured``.
    makers
        Grain ``clinic_id, scanner_id``: ``n_makers`` that the scans under one id name.
    """

    as_of: date
    facts: pl.DataFrame
    unavailable: pl.DataFrame
    makers: pl.DataFrame

    def answers(self, stale_feed_days: int) -> pl.DataFrame:
        """Return all that a man's tables depend on, to be compared with another day's.

        Parameters
        ----------
        stale_feed_days
            Days without any laboratory result after which a feed is stale.

        Returns
        -------
        DataFrame
            Grain ``clinic_id``: ``stale_feed``, ``tells_of_testosterone``, ``names_breast_symptoms``; ``unavailable``, the
            names of measures separated by blanks; ``makers``, the scanners that name one or several.
        """
        unavailable = self.unavailable.group_by("clinic_id").agg(
            unavailable=pl.col("measure").unique().sort().str.join(" ")
        )
        several = pl.when(pl.col("n_makers") > 1).then(pl.lit("several")).otherwise(pl.lit("one"))
        makers = (
            self.makers.filter(pl.col("n_makers") > 0)
            .sort("clinic_id", "scanner_id")
            .group_by("clinic_id")
            .agg(
                makers=pl.format("{}: {}", pl.col("scanner_id").fill_null(""), several).str.join(
                    "; "
                )
            )
        )
        return (
            self.facts.select(
                "clinic_id",
                "tells_of_testosterone",
                "names_breast_symptoms",
                stale_feed=is_stale(self.as_of, stale_feed_days),
            )
            .join(unavailable, on="clinic_id", how="left")
            .join(makers, on="clinic_id", how="left")
            .with_columns(pl.col("unavailable", "makers").fill_null(""))
            .sort("clinic_id")
        )


def is_stale(as_of: date, stale_feed_days: int) -> pl.Expr:
    """Tell whether a clinic's ``newest_result_on`` lies more than so many days back, or there is none."""
    age_days = (pl.lit(as_of) - pl.col("newest_result_on")).dt.total_days()
    return (age_days > stale_feed_days).fill_null(True)


def n_makers(scans: pl.DataFrame) -> pl.DataFrame:
    """Return how many makers the scans of a clinic name under one scanner's id: ``clinic_id, scanner_id, n_makers``."""
    return scans.group_by("clinic_id", "scanner_id").agg(
        n_makers=pl.col("manufacturer").drop_nulls().n_unique()
    )
