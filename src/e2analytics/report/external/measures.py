"""The quality measures in the version that leaves the clinic.

In    the table ``measures`` of one run, what was released of the men, the base of rounding
Out   the table with counts hidden, and the sums of each clinic's months with counts hidden

Months are released for all clinics together; for one clinic only its sum over twelve months (or the last month,
where months overlap): a clinic's single months are of few men. Clinics, months and their common sum are
hidden together, so that none gives another back; so are two measures of which one counts a part of the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from e2analytics.models.disclosure import LARGEST, SMALLEST
from e2analytics.models.pspline import Array
from e2analytics.reference import measures as definitions
from e2analytics.report.external.disclosure import Level, Shown, release
from e2analytics.report.external.men import Men
from e2analytics.report.sections.measure_clinics import months_pooled, pool, with_shares
from e2analytics.report.sections.measure_figures import HIDDEN_FIGURE
from e2analytics.report.sections.measures import Measure, Measures, describe
from e2analytics.settings import Rebase

_OF: Final = "of"
_REST: Final = "rest"
_BETWEEN: Final = "between"
_NOT_INNER: Final = "not_inner"
_TOGETHER: Final = pl.col("clinic_id").is_null()
_NO_MONTHS: Final = (
    "Single months of a clinic are not shown outside it: they are of few men. Their sums are shown."
)
_FEW_MONTHS: Final = "Months are hidden because they are of few men: too few are left to draw."
_FEW_CLINICS: Final = (
    "Counts of clinics are hidden because they are of few men: too few to compare."
)
_LEAST_MONTHS: Final = 6
"""Our own rule: fewer points between hidden months are no course."""
Frames = Mapping[str, pl.DataFrame]


def release_measures(
    table: pl.DataFrame, men: Men, *, month: str, base: int
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Hide what must be hidden of the measures.

    Returns
    -------
    DataFrame
        As in ``tables.measures.Measures``, of months up to ``month``; rows of clinics carry no number.
    dict of str to DataFrame
        By measure: as :func:`e2analytics.report.sections.measures.pool`.
    """
    until = table.filter(pl.col("month") <= month).sort("month", "clinic_id", "measure")
    months = [_nothing(until.filter(~_TOGETHER))]
    sums: dict[str, pl.DataFrame] = {}
    for family in _families(until):
        definition = definitions.load().measures[family[0]]
        rows = {name: until.filter(pl.col("measure") == name) for name in family}
        pooled = {name: pool(definition, frame, month) for name, frame in rows.items()}
        shown = _of_clinics(pooled, men, base)
        sums |= {name: _with_released(frame, shown, name) for name, frame in pooled.items()}
        own = {name: frame.filter(_TOGETHER) for name, frame in rows.items()}
        window = months_pooled(definition, month)
        months += _of_months(own, window, {name: at[-1] for name, at in shown.items()}, base)
    return pl.concat(months).sort("month", "clinic_id", "measure"), sums


def describe_released(
    table: pl.DataFrame,
    sums: Mapping[str, pl.DataFrame],
    month: str,
    clinic: str | None,
    rebased: Sequence[Rebase],
    unlike: Mapping[str, Collection[str]],
) -> Measures:
    """Describe the measures by what is released of them, and say why a chart is missing."""
    measures = describe(
        table, month=month, clinic=clinic, rebased=rebased, unlike=unlike, released=sums
    )
    return replace(
        measures,
        why_no_months="" if clinic is None else _NO_MONTHS,
        measured=tuple(
            _reasoned(measure, sums[measure.key], clinic) for measure in measures.measured
        ),
    )


def _reasoned(measure: Measure, sums: pl.DataFrame, clinic: str | None) -> Measure:
    months, why_no_funnel = measure.months, measure.why_no_funnel
    shown = [month for month in months.all if month.figure.value is not None]
    if clinic is not None:
        months = replace(months, all=(), drawn=())
    elif len(shown) < _LEAST_MONTHS and any(m.figure.words == HIDDEN_FIGURE for m in months.all):
        months = replace(months, drawn=(), why_not=_FEW_MONTHS)
    if measure.funnel is None and sums["suppressed"].any():
        why_no_funnel = _FEW_CLINICS
    # Where months overlap, a clinic's last month is released.
    is_month = measure.definition.months == "overlapping"
    this = measure.year if is_month else measure.this
    return replace(measure, this=this, months=months, why_no_funnel=why_no_funnel)


def _families(table: pl.DataFrame) -> list[tuple[str, ...]]:
    """Put a measure together with the one that counts a part of it, where both are of the same men."""

    def of(name: str) -> pl.DataFrame:
        rows = table.filter(pl.col("measure") == name)
        return rows.select("month", "clinic_id", "denominator")

    counted = set(table["measure"])
    pairs = [
        pair
        for pair in definitions.load().wholes_and_parts()
        if counted.issuperset(pair) and of(pair[0]).equals(of(pair[1]))
    ]
    paired = {name for pair in pairs for name in pair}
    alone = [
        (name,) for name in definitions.load().measures if name in counted and name not in paired
    ]
    return [*pairs, *alone]


def _levels(family: Sequence[str]) -> tuple[Level, Level]:
    """Return the level of all who count, and that of those who meet a measure."""
    if len(family) == 1:
        parts = Level((family[0], _REST), {}, whole=_OF, silent=(_REST,))
    else:
        outer, inner = family
        parts = Level(
            (inner, _BETWEEN, _REST),
            {outer: (inner, _BETWEEN), _NOT_INNER: (_BETWEEN, _REST)},
            whole=_OF,
            silent=(_BETWEEN, _REST, _NOT_INNER),
        )
    return Level((_OF,), {}), parts


def _counts(rows: Frames) -> dict[str, list[int]]:
    """Return the parts of each row: the frames are of one order."""
    names = list(rows)
    met = {name: rows[name]["numerator"].to_numpy() for name in names}
    of = rows[names[0]]["denominator"].to_numpy()
    counts = {_OF: of, **met, _REST: of - met[names[0]]}
    if len(names) == 2:
        counts[_BETWEEN] = met[names[0]] - met[names[1]]
    return {name: values.tolist() for name, values in counts.items()}


def _of_clinics(pooled: Frames, men: Men, base: int) -> Shown:
    """Return what may be shown of the sums of each clinic, in the order of their names, and of all."""
    clinics = {name: _counted(frame) for name, frame in pooled.items()}
    whole, parts = _levels(list(pooled))
    counts = _counts(clinics)
    # The men of a month's last day are released already, as those on the drug: not twice in two ways.
    here = clinics[next(iter(clinics))]["clinic_id"].to_list()
    if here == list(men.clinics) and counts[_OF] == men.on_drug:
        above = {_OF: men.shown["on_drug"]}
        return above | release([parts], counts, base, above=above)
    return release([whole, parts], counts, base)


def _counted(pooled: pl.DataFrame) -> pl.DataFrame:
    return pooled.filter(~_TOGETHER, pl.col("denominator").is_not_null()).sort("clinic_id")


def _with_released(pooled: pl.DataFrame, shown: Shown, name: str) -> pl.DataFrame:
    """Put what may be shown into the sums of a measure."""
    here = _counted(pooled)["clinic_id"].to_list()
    released = pl.DataFrame({"clinic_id": [*here, None]}, schema={"clinic_id": pl.String})
    return _with(
        pooled.filter(pl.col("denominator").is_not_null()).join(
            released.with_columns(_pair(shown[name], shown[_OF])),
            on="clinic_id",
            how="left",
            nulls_equal=True,
            maintain_order="left",
        ),
        pooled,
    )


def _pair(numerators: Array, denominators: Array) -> list[pl.Series]:
    """Return numerators and denominators, null where either is hidden."""
    hidden = np.isnan(numerators) | np.isnan(denominators)
    return [
        pl.Series(name, np.where(hidden, np.nan, values)).fill_nan(None).cast(pl.Int64)
        for name, values in (("released_met", numerators), ("released_of", denominators))
    ]


def _with(shown: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """Replace the counts of the rows that have any; the others keep their reason."""
    released = shown.with_columns(
        numerator="released_met",
        denominator="released_of",
        suppressed=pl.col("released_of").is_null(),
    ).select(whole.columns)
    return pl.concat([with_shares(released), whole.filter(pl.col("denominator").is_null())]).sort(
        "clinic_id", *(["month"] if "month" in whole.columns else [])
    )


def _of_months(
    own: Frames, window: Sequence[str], of_all: Mapping[str, float], base: int
) -> list[pl.DataFrame]:
    """Return what may be shown of each month of all clinics: those of the window add up to what was released."""
    counted = {
        name: frame.filter(pl.col("denominator").is_not_null()) for name, frame in own.items()
    }
    in_window = pl.col("month").is_in(list(window))
    levels = _levels(list(own))
    recent = {name: frame.filter(in_window) for name, frame in counted.items()}
    latest = release(levels, _counts(recent), base, together=of_all, to_rows=False)
    older = [
        release(levels, {name: [n] for name, n in month.items()}, base)
        for month in _each(_counts({name: f.filter(~in_window) for name, f in counted.items()}))
    ]
    shown = {
        name: np.concatenate([*(month[name][:1] for month in older), latest[name][:-1]])
        for name in (*own, _OF)
    }
    return [
        _with(
            frame.filter(pl.col("denominator").is_not_null()).with_columns(
                _pair(shown[name], shown[_OF])
            ),
            frame,
        ).with_columns(_apart(column, base) for column in ("n_excepted", "n_reported_separately"))
        for name, frame in own.items()
    ]


def _each(counts: Mapping[str, Sequence[int]]) -> list[dict[str, int]]:
    return [dict(zip(counts, row, strict=True)) for row in zip(*counts.values(), strict=True)]


def _apart(name: str, base: int) -> pl.Expr:
    """Round units that are reported separately; few are hidden."""
    few = pl.col(name).is_between(SMALLEST, LARGEST) | pl.col("suppressed")
    return pl.when(~few).then((pl.col(name) / base).round().cast(pl.Int64) * base).alias(name)


def _nothing(rows: pl.DataFrame) -> pl.DataFrame:
    """Keep of the rows of clinics only whether they were measured."""
    measured = pl.col("not_measured").is_null()
    numbers = (
        "numerator",
        "denominator",
        "n_excepted",
        "n_reported_separately",
        "value",
        "ci_low",
        "ci_high",
    )
    return rows.with_columns(
        *(pl.lit(None).cast(rows.schema[name]).alias(name) for name in numbers), suppressed=measured
    )
