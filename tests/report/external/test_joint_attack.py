"""The whole outside version under attack: men, flags, measures and rows together, for all that readers know.

Men on the drug are in the table of the men, and in the measures of the month's last day, whose exceptions are the
difference; who meets a measure meets the one of which it is a part. One table of whole numbers must agree with
everything that was told in which a count of few is another than the true one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import LinearConstraint

from e2analytics.models.disclosure import LARGEST
from e2analytics.report.external import measures
from e2analytics.report.external.disclosure import release
from e2analytics.report.external.men import LEVELS, Men
from e2analytics.report.sections.measure_clinics import with_shares
from e2analytics.tables.registry import schema_of
from tests.report.attack import least_and_most
from tests.report.external.test_disclosure import network

Counts = dict[str, NDArray[np.int64]]
MONTH = "2026-09"
BASE = 5
"""The smallest that may be configured."""
TESTED = ("sufficient", "insufficient", "last_waits")
NOT_WASHED_OUT = (*TESTED, "untested", "no_indication", "waits")
SPLITS = {
    # Of those on the drug some ended it days ago, and not all have an indication; vitamin D waits in quarantine of some.
    "on_drug": (*NOT_WASHED_OUT, "ended"),
    "not_washed_out": ("counselled", "not_counselled"),
    "known": ("safe", "unsafe", "young_safe", "young_unsafe", "short"),
    "off_drug": ("lost", "kept", "not_scanned"),
}
MEASURES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "vitamin_d_tested": (TESTED, (*TESTED, "untested")),
    "vitamin_d_sufficient": (("sufficient",), ("sufficient", "insufficient", "untested")),
    "calcium_counselling": (("counselled",), SPLITS["not_washed_out"]),
    # PSA is asked for by age, of those who are asked for a haematocrit.
    "haematocrit_tested": (
        ("safe", "young_safe"),
        ("safe", "young_safe", "unsafe", "young_unsafe"),
    ),
    "psa_tested": (("safe",), ("safe", "unsafe")),
    # Men off the drug, who are beside those of M11: nothing else is told of them.
    "bone_loss_off_the_drug": (("lost",), ("lost", "kept")),
}
"""Of what a measure's numerator and denominator are the sums."""
SUMS = {
    **{name: parts for level in LEVELS for name, parts in level.sums.items()},
    "not_washed_out": NOT_WASHED_OUT,
}


def men_and_measures(rng: np.random.Generator, n_clinics: int, size: float) -> Counts:
    """Return every part of the men's levels and of the measures, by clinic."""
    counts = {
        name: np.array(values, dtype=np.int64)
        for name, values in network(rng, n_clinics, size).items()
    }
    for whole, parts in SPLITS.items():
        shares = rng.dirichlet(
            [0.2 if part in ("ended", "waits", "last_waits") else 1.0 for part in parts]
        )
        split = np.array([rng.multinomial(n, shares) for n in total(counts, whole)])
        counts |= dict(zip(parts, split.reshape(n_clinics, -1).T, strict=True))
    return counts


def total(counts: Counts, name: str) -> NDArray[np.int64]:
    return np.sum([counts[part] for part in SUMS.get(name, (name,))], axis=0, dtype=np.int64)


def outside(counts: Counts, base: int) -> tuple[Men, dict[str, pl.DataFrame]]:
    """Return what leaves: of the men, and of the measures of the last day."""
    clinics = tuple("ABCDEFG"[: len(counts["known"])])
    parts = {part for level in LEVELS for part in level.parts}
    of_men = {name: counts[name].tolist() for name in sorted(parts)}
    men = Men(clinics, of_men["on_drug"], release(LEVELS, of_men, base))
    rows = []
    for measure, (met, of) in MEASURES.items():
        numerators, denominators = (
            np.sum([counts[part] for part in each], axis=0) for each in (met, of)
        )
        of_others = {"haematocrit_tested", "psa_tested", "bone_loss_off_the_drug"}
        whole = "off_drug" if measure in of_others else "on_drug"
        excepted = counts[whole] - denominators if whole == "on_drug" else 0 * denominators
        for place, clinic in enumerate([*clinics, None]):
            at = slice(None) if clinic is None else place
            rows.append(
                {
                    "month": MONTH,
                    "clinic_id": clinic,
                    "measure": measure,
                    "numerator": int(numerators[at].sum()),
                    "denominator": int(denominators[at].sum()),
                    "n_excepted": int(excepted[at].sum()),
                }
            )
    filled = with_shares(pl.DataFrame(rows)).with_columns(
        n_reported_separately=pl.lit(0),
        suppressed=pl.lit(False),
        not_measured=pl.lit(None),
        counted_as_of=pl.lit(date(2026, 9, 30)),
    )
    schema = schema_of("measures")
    table = filled.select(*schema).cast(schema)  # type: ignore[arg-type]
    return men, measures.release_measures(table, men, month=MONTH, base=base)[1]


class Attack:
    """One who has every outside report, knows the rules, the definitions and perhaps his own clinic."""

    def __init__(self, counts: Counts, base: int, own: int | None = None) -> None:
        self._names, self._n = list(counts), len(counts["known"])
        self._size = len(counts) * self._n
        self._true, self._own, self._base = counts, own, base
        self._rows: list[NDArray[np.float64]] = []
        self._low: list[float] = []
        self._high: list[float] = []
        self.few: list[tuple[str, NDArray[np.float64], int]] = []
        men, sums = outside(counts, base)
        self._everyone = [*([k] for k in range(self._n)), list(range(self._n))]
        self._know_definitions()
        for level in LEVELS:
            for name in (*level.parts, *level.sums):
                for at, clinics in enumerate(self._everyone):
                    shown = men.shown[name][at] if name in men.shown else math.nan
                    # A zero is never hidden, unless with the whole that it is a part of.
                    known = level.whole is None or men.shown[level.whole][at] > 0
                    self._hear(name, clinics, shown, hidden=name in men.shown and known)
        for measure, parts in MEASURES.items():
            told = sums[measure].sort("clinic_id", nulls_last=True)
            for column, of in zip(("numerator", "denominator"), parts, strict=True):
                for clinics, value in zip(self._everyone, told[column], strict=True):
                    self._hear(of, clinics, math.nan if value is None else value, hidden=False)
        for name in SPLITS:
            for part in SPLITS[name]:
                for clinics in self._everyone:
                    self._hear(part, clinics, math.nan, hidden=False)
        constraint = np.array(self._rows)
        self._known = LinearConstraint(sparse.csr_array(constraint), self._low, self._high)

    def _row(self, parts: Sequence[str], clinics: Sequence[int]) -> NDArray[np.float64]:
        row = np.zeros(self._size)
        for part in parts:
            row[[self._names.index(part) * self._n + clinic for clinic in clinics]] = 1
        return row

    def _add(self, row: NDArray[np.float64], least: float, most: float) -> None:
        self._rows.append(row)
        self._low.append(least)
        self._high.append(most)

    def _know_definitions(self) -> None:
        levels = ((level.whole, level.parts) for level in LEVELS if level.whole)
        every = [*levels, *SPLITS.items()]
        for clinic in range(self._n):
            for whole, parts in every:
                of = self._row(SUMS.get(whole, (whole,)), [clinic])
                self._add(self._row(parts, [clinic]) - of, 0, 0)

    def _hear(
        self, name: str | tuple[str, ...], clinics: list[int], shown: float, *, hidden: bool
    ) -> None:
        parts = SUMS.get(name, (name,)) if isinstance(name, str) else name
        row = self._row(parts, clinics)
        value = sum(int(self._true[part][clinics].sum()) for part in parts)
        if clinics == [self._own]:
            self._add(row, value, value)
            return
        others = [clinic for clinic in clinics if clinic != self._own]
        # Of all together what is his own alone tells nothing of others: their zero may be shown.
        if 1 <= value <= LARGEST and any(self._true[part][others].sum() for part in parts):
            self.few.append((str(name), row, value))
        if not math.isnan(shown):
            least, most = self._before_rounding(shown)
            assert least <= value <= most
            self._add(row, least, most)
        elif hidden:
            self._add(row, 1, np.inf)

    def _before_rounding(self, shown: float) -> tuple[float, float]:
        if shown == 0:
            return 0, 0
        half = self._base // 2
        least_shown = self._base * (LARGEST // self._base + 1)
        return LARGEST + 1 if shown == least_shown else shown - half, shown + half

    def could_be(self, cell: NDArray[np.float64]) -> tuple[int, int]:
        """Return the least and the most that a cell could be."""
        return least_and_most(cell, self._known)

    def pinned(self) -> list[tuple[str, int]]:
        """Name the counts of few that can be one number only."""
        return [
            (name, value) for name, cell, value in self.few if len(set(self.could_be(cell))) == 1
        ]


@pytest.mark.parametrize("seed", range(4))
def test_no_count_of_few_can_be_derived_from_men_measures_flags_and_rows_together(seed: int):
    rng = np.random.default_rng(seed)
    size = float(rng.choice([8, 40, 150]))
    attack = Attack(men_and_measures(rng, int(rng.integers(1, 5)), size), BASE)

    assert attack.few
    assert attack.pinned() == []


def test_no_clinic_derives_those_of_another_from_its_own():
    counts = men_and_measures(np.random.default_rng(11), 2, 60)

    for own in range(2):
        assert Attack(counts, BASE, own).pinned() == []


def test_without_rounding_the_same_attack_succeeds():
    """Those on the drug less those whom a measure counts are few: that is why counts are rounded, each by itself."""
    counts = men_and_measures(np.random.default_rng(9), 2, 150)

    assert Attack(counts, 1).pinned()
