"""The quality measures: two years of three clinics."""

from __future__ import annotations

from typing import Any

import numpy as np

from e2analytics.models.proportion import wilson
from e2analytics.reference import measures
from tests.report.builders.common import AS_OF, CLINICS

N_MONTHS = 24


def measure_rows(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Each measure, 24 months, three clinics; no body fat comes in, and north sends no PSA."""
    rows = []
    months = [(2024 + (9 + n) // 12, (9 + n) % 12 + 1) for n in range(N_MONTHS)]
    for key, defined in measures.load().measures.items():
        shares = np.full(N_MONTHS, 0.8 if defined.direction == "high" else 0.1)
        for year, of_year in months:
            counts = [
                measure_count(key, clinic, int(rng.integers(20, 40)), shares[0], rng)
                for clinic in CLINICS
            ]
            rows += [
                measure_row(f"{year}-{of_year:02d}", clinic, key, *each)
                for clinic, each in zip((*CLINICS, None), (*counts, together(counts)), strict=True)
            ]
    return rows


def measure_count(
    key: str, clinic: str, denominator: int, share: float, rng: np.random.Generator
) -> tuple[int | None, int | None, str | None]:
    if key == "de_escalation":
        return None, None, "no_body_fat"
    if key == "psa_tested" and clinic == "north":
        return None, None, "no_psa"
    # Harbour over-doses.
    share = 0.45 if key == "e2_below_red_line" and clinic == "harbour" else share
    return int(rng.binomial(denominator, share)), denominator, None


def together(
    counts: list[tuple[int | None, int | None, str | None]],
) -> tuple[int | None, int | None, str | None]:
    measured = [(met, of) for met, of, why in counts if why is None]
    if not measured:
        return None, None, counts[0][2]
    return sum(met or 0 for met, _ in measured), sum(of or 0 for _, of in measured), None


def measure_row(
    month: str,
    clinic: str | None,
    key: str,
    numerator: int | None,
    denominator: int | None,
    not_measured: str | None,
    **changes: Any,
) -> dict[str, Any]:
    share = wilson([np.nan if numerator is None else numerator], [denominator or 0])
    ends = {
        name: float(value[0]) if denominator else None
        for name, value in (
            ("value", share.value),
            ("ci_low", share.ci_low),
            ("ci_high", share.ci_high),
        )
    }
    return {
        "month": month,
        "clinic_id": clinic,
        "measure": key,
        "numerator": numerator,
        "denominator": denominator,
        "n_excepted": None if not_measured else 0,
        "n_reported_separately": None if not_measured else 0,
        **ends,
        "suppressed": False,
        "not_measured": not_measured,
        "counted_as_of": AS_OF,
        **changes,
    }
