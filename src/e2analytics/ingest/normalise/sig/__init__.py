"""Parses the directions of a prescription (sig): how much, how often, on which days, for how long."""

from e2analytics.ingest.normalise.sig.amount import SAME_DOSE_RATIO
from e2analytics.ingest.normalise.sig.reading import (
    LONGEST,
    WORDING,
    Sig,
    doses,
    named_weekdays,
    names,
    read,
)

__all__ = [
    "LONGEST",
    "SAME_DOSE_RATIO",
    "WORDING",
    "Sig",
    "doses",
    "named_weekdays",
    "names",
    "read",
]
