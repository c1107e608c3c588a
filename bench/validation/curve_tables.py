"""Tables and charts of the section on the curve.

In    a row for each cohort and cell (``curve_cells``)
Out   coverage, limits, verdicts, false claims, bias by how E2 is known; targets that were not met
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import altair as alt
import polars as pl

from bench.validation.curve_cells import AT_PG_ML, REGIONS
from bench.validation.curve_shares import Share, binomial, mean_share
from bench.validation.section import Chart

SIZES: Final = (300, 1_000, 4_000)
STRONG, WEAK = 2.5, 1.0
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
_LEAST_TO_JUDGE = 30


def coverage(strong: pl.DataFrame) -> pl.DataFrame:
    """Return the coverage of nominal 95 % intervals by truth and number of men."""
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


def limits(strong: pl.DataFrame) -> pl.DataFrame:
    """Return how often intervals of limits and best E2 hold the truth."""
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


def verdicts(as_used: pl.DataFrame) -> pl.DataFrame:
    """Return the shares of the verdicts by truth, effect and number of men."""
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


def false_claims(as_used: pl.DataFrame) -> pl.DataFrame:
    """Return how often a U, or harm at low E2, is claimed where there is none."""
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


def by_exposure(rows: pl.DataFrame) -> pl.DataFrame:
    """Return error and coverage by how E2 is known."""
    largest = rows.filter(
        (pl.col("n_men") == max(SIZES))
        & (pl.col("effect") == STRONG)
        & pl.col("adjusted")
        & pl.col("shape").is_in(["u", "threshold"])
    )
    words = {"naive": "naive mean", "calibrated": "posterior (the product)", "known": "true E2"}
    return errors(largest, words)


def errors(rows: pl.DataFrame, words: Mapping[str, str]) -> pl.DataFrame:
    """Return error and coverage under ``u`` and ``threshold`` for each idea of the exposure, by its word."""
    lines = []
    for shape in ("u", "threshold"):
        for exposure, word in words.items():
            cell = rows.filter((pl.col("shape") == shape) & (pl.col("exposure") == exposure))
            if cell.is_empty():
                continue
            at = {
                f"{level:g} pg/mL": _error(cell[f"error {level:g}"], cell[f"inside {level:g}"])
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


def _error(off: pl.Series, inside: pl.Series) -> str:
    """Say the mean error and the coverage at a level, of the cohorts that support it."""
    if off.count() == 0:
        return "–"
    return f"{off.mean():+.2f} ({inside.mean():.0%})"


def confounding(rows: pl.DataFrame) -> str:
    """Describe what is claimed where testosterone acts and E2 does not."""
    confounded = rows.filter((pl.col("shape") == "confounded") & (pl.col("n_men") == max(SIZES)))
    parts = []
    for adjusted, word in ((True, "with testosterone among the covariates"), (False, "without it")):
        cell = confounded.filter(pl.col("adjusted") == adjusted)
        if len(cell):
            harm = binomial(cell["verdict"].is_in(LOW_SIDE_HARM))
            parts.append(f"{word}, harm at low E2 is claimed in {harm} of {len(cell)} cohorts")
    return (
        "Where E2 does nothing but testosterone does (4,000 men): "
        + "; ".join(parts)
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


def _by_cell(rows: pl.DataFrame) -> Sequence[tuple[tuple[str, float, int], pl.DataFrame]]:
    order = {shape: number for number, shape in enumerate(RIGHT)}
    parts = rows.partition_by(_KEY, as_dict=True)
    return sorted(parts.items(), key=lambda item: (-item[0][1], order[item[0][0]], item[0][2]))


def _word(shape: str, effect: float) -> str:
    if RIGHT[shape] == "flat":
        return "none"
    return "strong" if effect == STRONG else "weak"


def coverage_chart(strong: pl.DataFrame) -> Chart:
    """Draw the coverage by region of E2."""
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


def verdict_chart(as_used: pl.DataFrame) -> Chart:
    """Draw the shares of the verdicts."""
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
