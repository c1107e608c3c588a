"""The measures that leave: clinics, months and their common sum hidden together, and an attack on all of them."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from scipy.optimize import LinearConstraint

from e2analytics.report.external import measures
from e2analytics.report.external.men import Men
from e2analytics.report.sections.measure_clinics import with_shares
from e2analytics.tables.registry import schema_of
from tests.report.attack import least_and_most

AMBER, RED, DXA = "e2_below_amber_line", "e2_below_red_line", "baseline_dxa"
MONTH = "2026-09"
MONTHS = [f"{2024 + (9 + k) // 12}-{(9 + k) % 12 + 1:02d}" for k in range(24)]
NOBODY = Men((), [], {})


def table_of(cells: dict[tuple[str, str, str], tuple[int, int]]) -> pl.DataFrame:
    """Make the table ``measures`` of (month, clinic, measure): (numerator, denominator), with all clinics."""
    rows = [
        {"month": m, "clinic_id": c, "measure": name, "numerator": n, "denominator": of}
        for (m, c, name), (n, of) in cells.items()
    ]
    each = pl.DataFrame(rows)
    together = each.group_by("month", "measure").agg(pl.col("numerator", "denominator").sum())
    counts = pl.concat([each, together.with_columns(clinic_id=pl.lit(None))], how="diagonal")
    filled = with_shares(counts).with_columns(
        n_excepted=pl.lit(3),
        n_reported_separately=pl.lit(0),
        suppressed=pl.lit(False),
        not_measured=pl.lit(None),
        counted_as_of=pl.lit(date(2026, 9, 30)),
    )
    schema = schema_of("measures")
    return filled.select(*schema).cast(schema)  # type: ignore[arg-type]


def of_all(table: pl.DataFrame, month: str, measure: str) -> tuple[object, object, bool]:
    row = table.filter(
        pl.col("month") == month, pl.col("clinic_id").is_null(), pl.col("measure") == measure
    )
    return row.select("numerator", "denominator", "suppressed").row(0)


def test_large_counts_are_told_of_clinics_over_a_year_and_of_all_by_month():
    cells = {(m, c, DXA): (20, 50) for m in MONTHS for c in ("A", "B", "C")}

    table, sums = measures.release_measures(table_of(cells), NOBODY, month=MONTH, base=5)

    assert of_all(table, "2026-09", DXA) == (60, 150, False)
    by_clinic = sums[DXA].select("clinic_id", "numerator", "denominator", "suppressed").rows()
    assert by_clinic == [
        (None, 720, 1800, False),
        *((clinic, 240, 600, False) for clinic in ("A", "B", "C")),
    ]
    of_clinics = table.filter(pl.col("clinic_id").is_not_null())
    assert of_clinics["numerator"].null_count() == len(of_clinics)
    assert of_clinics["suppressed"].all()


def test_a_month_of_few_is_hidden_with_another_of_its_year():
    cells = {
        (m, c, DXA): ((1, 40) if m == "2026-05" else (20, 40)) for m in MONTHS for c in ("A", "B")
    }

    table, _ = measures.release_measures(table_of(cells), NOBODY, month=MONTH, base=5)

    hidden = table.filter("suppressed", pl.col("clinic_id").is_null())["month"].to_list()
    assert "2026-05" in hidden
    assert len(hidden) > 1


def test_those_between_two_lines_are_not_told_by_their_difference():
    # 200 below the red line and 204 below the amber one: 4 men between the two.
    cells = {}
    for clinic in ("A", "B", "C"):
        for month in MONTHS[-12:]:
            cells[month, clinic, RED] = (20, 60)
            few = clinic == "A" and month in MONTHS[-4:]
            cells[month, clinic, AMBER] = (21 if few else 20 if clinic == "A" else 40, 60)

    _, sums = measures.release_measures(table_of(cells), NOBODY, month=MONTH, base=1)

    told = [
        sums[name].filter(pl.col("clinic_id") == "A")["numerator"][0] is not None
        for name in (RED, AMBER)
    ]
    assert not all(told)


def test_few_who_are_excepted_are_not_told():
    cells = {(m, c, DXA): (20, 50) for m in MONTHS for c in ("A", "B")}

    table, _ = measures.release_measures(table_of(cells), NOBODY, month=MONTH, base=5)

    assert set(table["n_excepted"]) == {None}


def random_cells(rng: np.random.Generator) -> dict[tuple[str, str, str], tuple[int, int]]:
    size = float(rng.choice([2, 6, 20]))
    shares = rng.dirichlet([0.5, 0.5, 1])
    cells = {}
    for clinic in "ABCDE"[: rng.integers(1, 6)]:
        of_clinic = size * float(rng.gamma(1, 1))
        for month in MONTHS:
            inner, between, rest = rng.multinomial(rng.poisson(of_clinic), shares).tolist()
            of = inner + between + rest
            cells[month, clinic, RED] = (inner, of)
            cells[month, clinic, AMBER] = (inner + between, of)
    return cells


@pytest.mark.parametrize("seed", range(6))
def test_no_count_of_few_can_be_derived_from_clinics_months_and_lines_together(seed: int):
    table = table_of(random_cells(np.random.default_rng(seed)))
    released, sums = measures.release_measures(table, NOBODY, month=MONTH, base=1)

    attack = Attack(table, released, sums)

    few = attack.few()
    assert few
    assert [value for cell, value in few if len(set(attack.could_be(cell))) == 1] == []


class Attack:
    """One who has all that was told of two measures of the same men, base 1: integer programming."""

    def __init__(
        self, table: pl.DataFrame, released: pl.DataFrame, sums: dict[str, pl.DataFrame]
    ) -> None:
        clinics = sorted(set(table["clinic_id"].drop_nulls()))
        n = len(clinics) + len(MONTHS)
        parts = np.eye(3 * n).reshape(n, 3, 3 * n)
        window = range(len(clinics) + 12, n)
        together = parts[: len(clinics)].sum(axis=0)
        rows = [together[k] - parts[window].sum(axis=0)[k] for k in range(3)]
        low, high = [0.0] * 3, [0.0] * 3
        self._truth: list[tuple[np.ndarray, int]] = []

        def tell(cells: np.ndarray, true: pl.DataFrame, told: dict[str, pl.DataFrame]) -> None:
            of = int(true.filter(pl.col("measure") == RED)["denominator"].sum())
            red, amber = (
                int(true.filter(pl.col("measure") == name)["numerator"].sum())
                for name in (RED, AMBER)
            )
            truths = (
                (cells[0], red),
                (cells[1], amber - red),
                (cells[2], of - amber),
                (cells[0] + cells[1], amber),
                (cells[1] + cells[2], of - red),
                (cells.sum(axis=0), of),
            )
            self._truth.extend(truths)
            for name, row in told.items():
                if row["numerator"][0] is None:
                    continue
                shown = ((truths[0] if name == RED else truths[3]), truths[5])
                for (cell, value), column in zip(shown, ("numerator", "denominator"), strict=True):
                    assert row[column][0] == value
                    rows.append(cell)
                    low.append(value)
                    high.append(value)

        recent = table.filter(pl.col("month").is_in(MONTHS[-12:]))
        for place, clinic in enumerate([*clinics, None]):
            here = pl.col("clinic_id").eq_missing(pl.lit(clinic, dtype=pl.String))
            cells = together if clinic is None else parts[place]
            tell(cells, recent.filter(here), {k: v.filter(here) for k, v in sums.items()})
        whole = pl.col("clinic_id").is_null()
        for place, month in enumerate(MONTHS, start=len(clinics)):
            at = (pl.col("month") == month) & whole
            told = {name: released.filter(at, pl.col("measure") == name) for name in (RED, AMBER)}
            tell(parts[place], table.filter(at), told)
        self._known = LinearConstraint(np.array(rows), low, high)

    def few(self) -> list[tuple[np.ndarray, int]]:
        """Every count of 1-10 with its true value."""
        return [(cell, value) for cell, value in self._truth if 1 <= value <= 10]

    def could_be(self, cell: np.ndarray) -> tuple[int, int]:
        """Return the least and the most that a cell could be."""
        return least_and_most(cell, self._known)
