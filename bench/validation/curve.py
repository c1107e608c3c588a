"""The curve: what its intervals cover, what its verdicts claim, how well its limits are found.

In    cohorts of ``cohorts``: shapes, sizes, a strong (2.5 %/year) and a weak (1 %/year) effect
Out   coverage, verdicts, limits and bias, each with the 99 % interval of its replicates

A shape's true limits follow the definition that the fit uses, on the true curve over the points that
the fit supports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import altair as alt
import numpy as np
import polars as pl
from scipy.stats import beta, norm

from bench.validation.curve_cells import AT_PG_ML, REGIONS, Cell, cohort_rows
from bench.validation.section import Chart, Section, in_parallel

NAME: Final = "curve"
TITLE: Final = "The curve, its verdict and its limits"
REPLICATES: Final = 1_000

SIZES: Final = (300, 1_000, 4_000)
STRONG, WEAK = 2.5, 1.0
SHAPES: Final = ("u", "threshold", "rising", "falling", "flat", "confounded")
POWER_REPLICATES: Final = 200
"""The weak effect, other ideas of E2 and the crude curve: as many cohorts, the first."""
TARGET: Final = (0.93, 0.97)
LOW_SIDE_HARM: Final = ("u_shaped", "low_side_threshold", "rising")
RIGHT: Final = {
    "u": "u_shaped",
    "bowl": "u_shaped",
    "threshold": "low_side_threshold",
    "rising": "rising",
    "falling": "falling",
    "flat": "flat",
    "confounded": "flat",
}
_KEY: Final = ("shape", "effect", "n_men")

ABOUT: Final = """
Cohorts are those of `e2analytics simulate` as arrays: its men, its spells of anastrozole by indication, its
draws at four laboratories (two of them immunoassay, some results below the limit), its scanners and their
errors; E2 of an interval is what the product's dose response, fitted to each cohort, says of it. About 1.35
usable scan pairs a man. Shapes: `threshold` loses 2.5 %/year (strong) or 1 %/year (weak) at 10 pg/mL against
20; `u` the same again at 90 against 45; `rising` and `falling` are straight lines of that effect between 10
and 80 pg/mL; `bowl` is a parabola with its best at 30, the one shape with a single best E2; under `confounded`
E2 does nothing, but testosterone does 3 %/year per log unit and raises E2, and is measured.
Settings are the product's: 20 splines, 1,000 replicates.

What this world leaves out: unmeasured confounding (shown once, below), men who change by more than their dose,
slips and defects, and men unlike those of the simulator.
"""


@dataclass(frozen=True)
class Job:
    """One cohort under every cell of its size."""

    n_men: int
    seed: int
    extras: bool


def run(replicates: int, seed: int) -> Section:
    """Simulate ``replicates`` cohorts of each size and tell what held."""
    jobs = [
        Job(n_men, seed * 1_000_000 + number, number < POWER_REPLICATES)
        for number in range(replicates)
        for n_men in SIZES
    ]
    rows = [row for rows in in_parallel(repeat, jobs, "cohorts") for row in rows]
    return tell(pl.DataFrame(rows, infer_schema_length=None))


def repeat(job: Job) -> list[dict[str, object]]:
    """Fit one cohort under its cells."""
    return cohort_rows(job.n_men, job.seed, cells(job.n_men, extras=job.extras))


def cells(n_men: int, *, extras: bool) -> list[Cell]:
    """Return what is simulated at a size: always the strong effect; with ``extras`` the others."""
    chosen = [Cell(shape, STRONG, n_men) for shape in SHAPES]
    largest = n_men == max(SIZES)
    if largest:
        chosen.append(Cell("bowl", STRONG, n_men))
    if not extras:
        return chosen
    chosen += [Cell(shape, WEAK, n_men) for shape in ("u", "threshold", "rising", "falling")]
    if largest:
        chosen += [
            Cell(shape, STRONG, n_men, exposure)
            for shape in ("u", "threshold")
            for exposure in ("naive", "known")
        ]
        chosen.append(Cell("confounded", STRONG, n_men, adjusted=False))
    return chosen


def tell(rows: pl.DataFrame) -> Section:
    """Put the rows of all cohorts into words, tables and charts."""
    as_used = rows.filter((pl.col("exposure") == "calibrated") & pl.col("adjusted"))
    strong = as_used.filter(pl.col("effect") == STRONG)
    coverage = _coverage(strong)
    limits = _limits(strong)
    verdicts = _verdicts(as_used)
    return Section(
        (
            ABOUT,
            "### What nominal 95 % covers\n\nStrong effect. A share is followed by the 99 % interval of its "
            "cohorts; *missed* where that does not meet 93-97 %.",
            coverage,
            _coverage_chart(strong),
            "No smooth curve turns in a point: at a kink (20 pg/mL under `u` and `threshold`) a curve is rounded, and "
            "its intervals hold the truth less often than elsewhere (at 20 pg/mL itself see the table of how E2 is known). "
            "The worst of seven regions is below the average by chance, too.",
            "### Limits and best E2\n\nShare of the intervals that hold the true limit, among cohorts that are "
            "given one; the share that are given none is a column of its own. `best E2` holds where its interval "
            "meets the stretch of equally good E2 (one point only under `bowl`).",
            limits,
            "With 300 men few cohorts are given a limit, and those by luck: the loss looks larger than it is, so the "
            "limit lies too near the best (the mean error shows it). The interval is wider there by the chance that "
            "there would be none (`models/sweet_spot.py`).",
            "### Verdicts",
            verdicts,
            _verdict_chart(as_used),
            "Claims that must not be made: a U where there is none, harm at low E2 where E2 does nothing. *Missed* "
            "where the 99 % interval lies above 5 %.",
            _false_claims(as_used),
            "### How E2 is known\n\nMean error of the curve (%/year) at five levels of E2, and coverage there, "
            "4,000 men: with the naive mean of the interval's readings, with the product's posterior, and with "
            "the true E2 that nobody has.",
            _by_exposure(rows),
            "### Confounding\n\n" + _confounding(rows),
            "### What was missed\n\n" + missed(coverage, limits, _false_claims(as_used), as_used),
        )
    )


def _coverage(strong: pl.DataFrame) -> pl.DataFrame:
    lines = []
    for (shape, _, n_men), cell in _by_cell(strong):
        regions = {
            name: mean_share(cell[f"in {name}"])
            for name in REGIONS
            if cell[f"in {name}"].count() >= len(cell) / 4
        }
        worst = min(regions, key=lambda name: regions[name].share, default=None)
        pointwise, band = mean_share(cell["pointwise"]), binomial(cell["band"])
        lines.append(
            {
                "truth": shape,
                "men": n_men,
                "cohorts": len(cell),
                "pointwise": str(pointwise),
                "worst region, pg/mL": worst,
                "there": str(regions[worst]) if worst else None,
                "band": str(band),
                "missed": ", ".join(
                    name
                    for name, share in (
                        ("pointwise", pointwise),
                        ("worst region", regions.get(worst or "", pointwise)),
                        ("band", band),
                    )
                    if not share.meets(TARGET)
                )
                or "none",
            }
        )
    return pl.DataFrame(lines)


def _limits(strong: pl.DataFrame) -> pl.DataFrame:
    lines = []
    for (shape, _, n_men), cell in _by_cell(strong):
        for name, truths in (
            ("lower", ("u", "bowl", "threshold")),
            ("upper", ("u", "bowl")),
            ("best E2", ("u", "bowl")),
        ):
            if shape not in truths:
                continue
            given, holds, error = _limit_of(cell, name)
            lines.append(
                {
                    "truth": shape,
                    "men": n_men,
                    "what": name,
                    "given none": str(binomial(~given)),
                    "holds": str(holds),
                    "mean error, pg/mL": error,
                    "missed": "none"
                    if holds.of < _LEAST_TO_JUDGE or holds.meets(_wanted(name, shape))
                    else "coverage",
                }
            )
    return pl.DataFrame(lines)


_LEAST_TO_JUDGE = 30


def _wanted(name: str, shape: str) -> tuple[float, float]:
    """Return what coverage is wanted; the interval of a stretch of best E2 may hold always."""
    return (TARGET[0], 1.0) if name == "best E2" and shape == "u" else TARGET


def _limit_of(cell: pl.DataFrame, name: str) -> tuple[pl.Series, Share, float | None]:
    if name == "best E2":
        given = cell["nadir"].is_not_null()
        return given, binomial(cell["nadir holds"].filter(given)), None
    given = cell[name].is_not_null()
    error = (cell[name] - cell[f"{name} true"]).mean()
    return given, binomial(cell[f"{name} holds"]), error


def _verdicts(as_used: pl.DataFrame) -> pl.DataFrame:
    names = [
        "u_shaped",
        "low_side_threshold",
        "rising",
        "high_side_threshold",
        "falling",
        "flat",
        "inconclusive",
    ]
    lines = []
    for (shape, effect, n_men), cell in _by_cell(as_used):
        lines.append(
            {
                "truth": shape,
                "effect": _word(shape, effect),
                "men": n_men,
                "right": str(binomial(cell["verdict"] == RIGHT[shape])),
                **{name: f"{(cell['verdict'] == name).mean():.0%}" for name in names},
            }
        )
    return pl.DataFrame(lines)


def _false_claims(as_used: pl.DataFrame) -> pl.DataFrame:
    lines = []
    for (shape, effect, n_men), cell in _by_cell(as_used):
        if RIGHT[shape] == "u_shaped":
            continue
        claims = {"false u_shaped": cell["verdict"] == "u_shaped"}
        if RIGHT[shape] == "flat":
            claims["false harm at low E2"] = cell["verdict"].is_in(LOW_SIDE_HARM)
        for claim, made in claims.items():
            share = binomial(made)
            lines.append(
                {
                    "truth": shape,
                    "effect": _word(shape, effect),
                    "men": n_men,
                    "claim": claim,
                    "share": str(share),
                    "missed": "none" if share.low <= 0.05 else "size",
                }
            )
    return pl.DataFrame(lines)


def _by_exposure(rows: pl.DataFrame) -> pl.DataFrame:
    largest = rows.filter(
        (pl.col("n_men") == max(SIZES))
        & (pl.col("effect") == STRONG)
        & pl.col("adjusted")
        & pl.col("shape").is_in(["u", "threshold"])
    )
    words = {"naive": "naive mean", "calibrated": "posterior (the product)", "known": "true E2"}
    lines = []
    for shape in ("u", "threshold"):
        for exposure, word in words.items():
            cell = largest.filter((pl.col("shape") == shape) & (pl.col("exposure") == exposure))
            if cell.is_empty():
                continue
            at = {
                f"{level:g} pg/mL": f"{cell[f'error {level:g}'].mean():+.2f} ({cell[f'inside {level:g}'].mean():.0%})"
                for level in AT_PG_ML
            }
            lines.append(
                {
                    "truth": shape,
                    "E2": word,
                    "cohorts": len(cell),
                    **at,
                    "band": str(binomial(cell["band"])),
                    "lower limit holds": str(binomial(cell["lower holds"])),
                    "its mean error, pg/mL": (cell["lower"] - cell["lower true"]).mean(),
                }
            )
    return pl.DataFrame(lines)


def _confounding(rows: pl.DataFrame) -> str:
    confounded = rows.filter((pl.col("shape") == "confounded") & (pl.col("n_men") == max(SIZES)))
    told = []
    for adjusted, word in ((True, "with testosterone among the covariates"), (False, "without it")):
        cell = confounded.filter(pl.col("adjusted") == adjusted)
        if len(cell):
            harm = binomial(cell["verdict"].is_in(LOW_SIDE_HARM))
            told.append(f"{word}, harm at low E2 is claimed in {harm} of {len(cell)} cohorts")
    return (
        "Where E2 does nothing but testosterone does (4,000 men): "
        + "; ".join(told)
        + ". What is not "
        "measured cannot be adjusted for: the second share is what an unmeasured cause of this size does."
    )


def missed(
    coverage: pl.DataFrame, limits: pl.DataFrame, claims: pl.DataFrame, as_used: pl.DataFrame
) -> str:
    """Say plainly which targets were not met."""
    said = [
        f"- {line['truth']}, {line['men']} men: coverage of {line['missed']}"
        for line in coverage.filter(pl.col("missed") != "none").iter_rows(named=True)
    ]
    said += [
        f"- {line['truth']}, {line['men']} men: {line['what']} holds in {line['holds']}"
        for line in limits.filter(pl.col("missed") != "none").iter_rows(named=True)
    ]
    said += [
        f"- {line['truth']} ({line['effect']}), {line['men']} men: {line['claim']} in {line['share']}"
        for line in claims.filter(pl.col("missed") != "none").iter_rows(named=True)
    ]
    for shape in ("u", "threshold"):
        cell = as_used.filter(
            (pl.col("shape") == shape)
            & (pl.col("n_men") == max(SIZES))
            & (pl.col("effect") == STRONG)
        )
        power = binomial(cell["verdict"] == RIGHT[shape])
        if power.high < 0.9:
            said.append(f"- {shape}, {max(SIZES)} men, strong: power {power}, 90 % was wanted")
    return (
        "\n".join(said)
        if said
        else "No target lies outside the 99 % interval of its cohorts; where these are few, that says little."
    )


@dataclass(frozen=True)
class Share:
    """A share of ``of`` cohorts with its 99 % interval."""

    share: float
    low: float
    high: float
    of: int

    def meets(self, target: tuple[float, float]) -> bool:
        """Whether the interval and the target have something in common."""
        return self.low <= target[1] and self.high >= target[0]

    def __str__(self) -> str:
        return f"{self.share:.1%} ({self.low:.1%}-{self.high:.1%})" if self.of else "–"


_BEYOND = 0.005


def binomial(held: pl.Series) -> Share:
    """Share of cohorts in which something held, with the exact interval of Clopper and Pearson."""
    told = held.drop_nulls()
    n, k = len(told), int(told.sum() or 0)
    if not n:
        return Share(np.nan, 0.0, 1.0, 0)
    low = float(beta.ppf(_BEYOND, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(1 - _BEYOND, k + 1, n - k)) if k < n else 1.0
    return Share(k / n, low, high, n)


def mean_share(shares: pl.Series) -> Share:
    """Mean of one share per cohort (of grid points), with the interval that cohorts give it."""
    told = shares.drop_nulls().to_numpy()
    if not len(told):
        return Share(np.nan, 0.0, 1.0, 0)
    reach = float(norm.ppf(1 - _BEYOND)) * float(np.std(told)) / np.sqrt(len(told))
    mean = float(told.mean())
    return Share(mean, max(mean - reach, 0.0), min(mean + reach, 1.0), len(told))


def _by_cell(rows: pl.DataFrame) -> Sequence[tuple[tuple[str, float, int], pl.DataFrame]]:
    order = {shape: number for number, shape in enumerate(RIGHT)}
    parts = rows.partition_by(_KEY, as_dict=True)
    return sorted(parts.items(), key=lambda item: (-item[0][1], order[item[0][0]], item[0][2]))


def _word(shape: str, effect: float) -> str:
    if RIGHT[shape] == "flat":
        return "none"
    return "strong" if effect == STRONG else "weak"


def _coverage_chart(strong: pl.DataFrame) -> Chart:
    lines = [
        {
            "truth": shape,
            "men": f"{n_men:,} men",
            "E2, pg/mL": region,
            "coverage": mean_share(cell[f"in {region}"]).share,
        }
        for (shape, _, n_men), cell in _by_cell(strong)
        for region in REGIONS
        if cell[f"in {region}"].count() >= len(cell) / 4
    ]
    base = alt.Chart(pl.DataFrame(lines))
    marks = base.mark_line(point=True).encode(
        x=alt.X("E2, pg/mL:N", sort=list(REGIONS)),
        y=alt.Y("coverage:Q", scale=alt.Scale(domain=[0.8, 1.0])).axis(format="%"),
        color=alt.Color("truth:N", sort=list(RIGHT)),
    )
    nominal = base.mark_rule(strokeDash=[4, 4]).encode(y=alt.datum(0.95))
    picture = (
        (marks + nominal)
        .properties(width=220, height=180)
        .facet(alt.Facet("men:N", sort=[f"{n_men:,} men" for n_men in SIZES]), columns=3)
    )
    return Chart(
        picture,
        "Coverage of nominal 95 % intervals by region of E2, truth and number of men; it stays near "
        "95 % but in the region of a kink",
    )


def _verdict_chart(as_used: pl.DataFrame) -> Chart:
    lines = [
        {
            "truth": f"{shape}, {_word(shape, effect)}",
            "men": f"{n_men:,}",
            "verdict": verdict,
            "share": share,
        }
        for (shape, effect, n_men), cell in _by_cell(as_used)
        for verdict, share in cell["verdict"].value_counts(normalize=True).rows()
    ]
    picture = (
        alt.Chart(pl.DataFrame(lines))
        .mark_bar()
        .encode(
            x=alt.X("share:Q").axis(format="%"),
            y=alt.Y("men:N", sort=[f"{n:,}" for n in SIZES]),
            color="verdict:N",
            row=alt.Row("truth:N").header(labelAngle=0, labelAlign="left"),
        )
        .properties(width=420, height=50)
    )
    return Chart(picture, "Shares of the verdicts by truth, effect and number of men")
