"""The dose response: what it says of men and doses whose truth is known.

In    simulated cohorts (``dose_recovery``: arrays; ``dose_flags``: clinics)
Out   parameters, men's intervals, probabilities, and what happens in worlds it does not know
"""

from __future__ import annotations

from typing import Final

import altair as alt
import numpy as np
import polars as pl

from bench.validation import dose_flags, dose_recovery
from bench.validation.dose_flags import BINS, RULES, SCENARIOS, Cohort
from bench.validation.dose_recovery import N_MEN, PROJECTED, STARTS, WORLDS, Recovered, with_error
from bench.validation.section import Chart, Section, in_parallel
from e2analytics.models.dose_response.types import PARAMETERS
from e2analytics.simulate.dose_cohorts import COVARIATES, TRUE, CohortDesign

NAME: Final = "dose_response"
TITLE: Final = "Dose response"
REPLICATES: Final = 20
"""Clinics per scenario, and cohorts per world; cohorts of the model's own world are ten times as many."""

NAMES: Final = (*COVARIATES, *PARAMETERS)
_N_STILL: Final = len(NAMES) - 3
KNOWN, LOG_LINEAR, HEAVY, UNITS = WORLDS
_SEEDS_OF_A_RUN: Final = 100_000


def run(replicates: int, seed: int) -> Section:
    """Simulate all worlds and compare estimates with truths."""
    first = seed * _SEEDS_OF_A_RUN
    plans = [CohortDesign(N_MEN, seed=first + each) for each in range(10 * replicates)]
    recovered = in_parallel(dose_recovery.recover, plans, "recovery")
    bent = in_parallel(dose_recovery.bend, _jobs(WORLDS, replicates, first), "other worlds")
    early = in_parallel(dose_recovery.settle, _jobs(STARTS, replicates, first), "transition")
    scores = in_parallel(
        dose_flags.score_rules, _jobs(SCENARIOS, replicates, first), "probabilities"
    )
    return Section(
        (
            _WORLD,
            "### Parameters\n\n" + _PARAMETERS,
            parameters(recovered),
            "### Men's intervals\n\n" + _INTERVALS,
            *coverage(pl.concat([each.men for each in recovered])),
            "### Whom the drug pushes below 16 pg/mL\n\n" + _PROBABILITIES,
            *probabilities(scores),
            "### Worlds that the model does not know\n\n" + _OTHER_WORLDS,
            *other_worlds(bent),
            "### Setting draws aside\n\n" + _ASIDE,
            *setting_aside(bent),
            "### Draws in transition\n\n" + _TRANSITION,
            *transition([row for rows in early for row in rows]),
        )
    )


def _jobs(names: object, n_cohorts: int, first: int) -> list[tuple[str, int]]:
    return [(name, first + each) for each in range(n_cohorts) for name in names]


def parameters(recovered: list[Recovered]) -> pl.DataFrame:
    """Lay out bias and coverage of every parameter."""
    vectors = np.array([each.vector for each in recovered])
    errors = np.array([each.standard_error for each in recovered])
    # Of movement and jumps there are none in these cohorts: what is found of them is elsewhere.
    vectors, errors, truth = vectors[:, :_N_STILL], errors[:, :_N_STILL], TRUE.vector[:_N_STILL]
    n, away = len(recovered), vectors - truth
    inside = np.mean(np.abs(away) < dose_recovery.WITHIN_95 * errors, axis=0)
    return pl.DataFrame(
        {
            "parameter": NAMES[:_N_STILL],
            "truth": truth,
            "bias": away.mean(axis=0),
            "error of the bias": vectors.std(axis=0, ddof=1) / np.sqrt(n),
            "SD of estimates": vectors.std(axis=0, ddof=1),
            "mean standard error": errors.mean(axis=0),
            "95 % intervals that hold it": [_percent(share) for share in inside],
            "binomial error": [_points(0.95, n)] * _N_STILL,
        }
    )


def coverage(men: pl.DataFrame) -> tuple[pl.DataFrame | str, ...]:
    """Lay out how many intervals hold the truth: by draws and assay, by dose, and the farthest off."""
    by_draws = _covered(men, ["assay", "draws"])
    by_dose = _covered(men.filter(pl.col("dose") > 0), ["dose"])
    rates = pl.concat(
        [
            men.group_by("assay", "draws", when=pl.lit(when)).agg(
                n=pl.col("men").sum(), inside=pl.col(f"{when}_in_95").sum()
            )
            for when in ("off", "now")
        ]
    ).with_columns(rate=pl.col("inside") / pl.col("n"))
    worst = rates.sort((pl.col("rate") - 0.95).abs(), descending=True).row(0, named=True)
    farthest = (
        f"Of the cells of the first table the one farthest from 95 % holds {100 * worst['rate']:.1f} % "
        f"({worst['assay']}, {worst['draws']} draws, {worst['when']}), of {worst['n']:,} men."
    )
    return by_draws, by_dose, farthest


def _covered(men: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    sums = men.group_by(keys).agg(pl.exclude(*{"draws", "assay", "dose"} - set(keys)).sum())
    shares = {
        f"{when}, {level} %": (pl.col(f"{when}_in_{level}") / pl.col("men"))
        for when in ("off", "now")
        for level in (50, 95)
    }
    rmse = {
        f"error, {when}": (pl.col(f"{when}_square") / pl.col("men")).sqrt()
        for when in ("off", "now")
    }
    binomial = pl.col("men").map_elements(lambda n: _points(0.95, n), return_dtype=pl.String)
    return sums.sort(keys).select(
        *keys,
        "men",
        *((100 * share).alias(name) for name, share in shares.items()),
        binomial.alias("binomial error at 95 %"),
        *(value.alias(name) for name, value in rmse.items()),
    )


def probabilities(cohorts: list[Cohort]) -> tuple[pl.DataFrame | Chart | str, ...]:
    """Lay out how well each rule tells, and draw what becomes of the model's probabilities."""
    scores = pl.DataFrame([each for cohort in cohorts for each in cohort.scores], orient="row")
    scores.columns = dose_flags.RuleScore._fields
    measures = ("average_precision", "brier", "slope", "intercept")
    rows = []
    for scenario in SCENARIOS:
        for rule in RULES:
            own = scores.filter(scenario=scenario, rule=rule)
            said = {measure: with_error(own[measure].to_numpy()) for measure in measures}
            men, so = own["men"].mean(), own["pushed_below"].mean()
            rows.append(
                {
                    "scenario": scenario,
                    "rule": rule,
                    "men": round(men),
                    "pushed below": round(so),
                    "average precision": said["average_precision"],
                    "Brier score": said["brier"],
                    "calibration slope": said["slope"],
                    "intercept": said["intercept"],
                }
            )
    return pl.DataFrame(rows), _reliability(cohorts), _scores_in_words(scores)


def _scores_in_words(scores: pl.DataFrame) -> str:
    def mean(scenario: str, rule: str, measure: str) -> float:
        return float(scores.filter(scenario=scenario, rule=rule)[measure].mean())

    sentences = []
    for scenario in SCENARIOS:
        model, oracle, last, averaged = (
            mean(scenario, rule, "average_precision") for rule in RULES
        )
        sentences.append(
            f"- *{scenario}*: average precision {model:.3f}, {model - max(last, averaged):+.3f} against the "
            f"better naive rule, {model - oracle:+.3f} against the oracle; calibration slope "
            f"{mean(scenario, 'model', 'slope'):.2f}, intercept {mean(scenario, 'model', 'intercept'):+.2f} "
            f"(oracle {mean(scenario, 'oracle', 'slope'):.2f} and {mean(scenario, 'oracle', 'intercept'):+.2f})."
        )
    return "\n".join([*sentences, "", _WHAT_BREAKS])


def _reliability(cohorts: list[Cohort]) -> Chart:
    rows = []
    for scenario in SCENARIOS:
        p, so, n = sum(c.bins for c in cohorts if c.scores[0].scenario == scenario)
        rows += [
            {"scenario": scenario, "said": said / men, "so": really / men, "men": int(men)}
            for said, really, men in zip(p, so, n, strict=True)
            if men
        ]
    data = alt.Data(values=rows)
    ideal = alt.Chart(alt.Data(values=[{"said": 0, "so": 0}, {"said": 1, "so": 1}]))
    axes = alt.X("said:Q", title="probability said"), alt.Y("so:Q", title="share that is so")
    panels = [
        alt.layer(
            ideal.mark_line(color="#999999", strokeDash=[4, 3]).encode(*axes),
            alt.Chart(data)
            .transform_filter(alt.datum.scenario == scenario)
            .mark_line(point=True, color="#0072B2")
            .encode(*axes),
        ).properties(width=190, height=150, title=scenario)
        for scenario in SCENARIOS
    ]
    return Chart(
        alt.concat(*panels, columns=3),
        f"Share of men pushed below the range, by the probability the model said, in {len(BINS) - 1} classes",
    )


def other_worlds(bent: list[dose_recovery.Bent]) -> tuple[pl.DataFrame | str, ...]:
    """Lay out bias by dose and the intervals' coverage in every world."""
    rows, words = [], []
    for world in WORLDS:
        own = [each for each in bent if each.world == world]
        men = pl.concat([each.men for each in own])
        bias = np.mean([each.bias_log_e2 for each in own], axis=0)
        takes = men.filter(pl.col("dose") > 0).select(pl.exclude("draws", "assay", "dose").sum())
        n = takes["men"].item()
        now_95, off_95 = (100 * takes[f"{when}_in_95"].item() / n for when in ("now", "off"))
        slope = with_error(np.array([each.slope for each in own]))
        rows.append(
            {
                "world": world,
                **{
                    f"E2 said at {dose:g} mg, of the true": f"{np.exp(each):.2f}"
                    for dose, each in zip(PROJECTED, bias, strict=True)
                },
                "now, 95 %": now_95,
                "off, 95 %": off_95,
                "average precision": with_error(np.array([e.average_precision for e in own])),
                "calibration slope": slope,
            }
        )
        few = men.filter((pl.col("dose") > 0) & (pl.col("draws") <= 2))
        by_dose = _covered(few, ["dose"])
        low = by_dose.sort("now, 95 %").row(0, named=True)
        worst = int(np.argmax(np.abs(bias)))
        words.append(
            f"- *{world}*: the worst average dose effect is E2 at {PROJECTED[worst]:g} mg a week, said to be "
            f"{np.exp(bias[worst]):.2f} times the true one. Of men on the drug {now_95:.1f} % of the 95 % "
            f"intervals hold E2 now, {off_95:.1f} % E2 off the drug; worst are men with 1-2 draws at "
            f"{low['dose']:g} mg: {low['now, 95 %']:.1f} %. Calibration slope {slope}."
        )
    return pl.DataFrame(rows), "\n".join(words)


def setting_aside(bent: list[dose_recovery.Bent]) -> tuple[pl.DataFrame | str, ...]:
    """Lay out the error of men's levels with all draws and without the odd ones."""
    rows, words = [], []
    for world in WORLDS:
        own = [each for each in bent if each.world == world]
        every, rest = (
            np.array([getattr(each, name) for each in own])
            for name in ("kept_all", "without_outliers")
        )
        change = np.sqrt(rest) - np.sqrt(every)
        row = {
            "world": world,
            "set aside": f"{100 * np.mean([each.share_outliers for each in own]):.2f} %",
            "error, all draws": float(np.sqrt(every.mean())),
            "error, odd draws set aside": float(np.sqrt(rest.mean())),
            "difference": with_error(change, 4),
        }
        rows.append(row)
        surely = abs(change.mean()) > 2 * change.std(ddof=1) / np.sqrt(len(change))
        verdict = "no difference beyond chance"
        if surely:
            verdict = "it pays" if change.mean() < 0 else "it costs"
        words.append(
            f"- *{world}*: {verdict}; {row['error, all draws']:.3f} becomes "
            f"{row['error, odd draws set aside']:.3f}."
        )
    return pl.DataFrame(rows), "\n".join(words)


def transition(early: list[dose_recovery.Settled]) -> tuple[pl.DataFrame | str, ...]:
    """Lay out the error of men's E2 by what is done with one draw in transition."""
    rows, words = [], []
    ways = {
        "left out": "left_out",
        "expected partial effect": "partial",
        "as if at steady state": "full",
    }
    for starts in STARTS:
        for draws in ("1-2", "4-16"):
            own = [each for each in early if (each.starts, each.draws) == (starts, draws)]
            errors = {
                name: np.sqrt([getattr(each, way) for each in own]) for name, way in ways.items()
            }
            gain = errors["expected partial effect"] - errors["left out"]
            rows.append(
                {
                    "first dose": starts,
                    "other draws": draws,
                    **{name: float(error.mean()) for name, error in errors.items()},
                    "partial effect less left out": with_error(gain, 4),
                }
            )
            surely = abs(gain.mean()) > 2 * gain.std(ddof=1) / np.sqrt(len(gain))
            favours = "neither"
            if surely:
                favours = "the partial effect" if gain.mean() < 0 else "leaving it out"
            words.append(
                f"- First dose {starts}, {draws} other draws: the validation favours {favours}."
            )
    verdict = "Partial effects win throughout, so they should enter."
    if any("leaving it out" in each or "neither" in each for each in words):
        verdict = (
            "A run leaves draws in transition out. Their expected effect helps only men who take the first dose on "
            "the day of the order, and no file says who does."
        )
    return pl.DataFrame(rows), "\n".join([*words, "", verdict])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float, n: int) -> str:
    return f"± {100 * np.sqrt(share * (1 - share) / n):.2f}"


_WORLD: Final = f"""\
Cohorts by arrays have {N_MEN} men with 1, 2, 4, 8 or 16 draws, half of them on the drug at 0.25 to 3 mg a week and
drawn off it and on it alternately in halves (those with one draw on it), half of them by mass spectrometry (results below 2 or
5 pg/mL censored) and half by immunoassay (below 15 or 24). All but the other worlds below are drawn from the
model itself, with the parameters of the first table. What they leave out: calendars, wrong orders, clinics that
differ, and that nobody has measured a man's own response.
"""
_PARAMETERS: Final = """\
Logs and logits as the model has them. The weak priors of a run are in force: they pull a little, and widen
nothing.
"""
_INTERVALS: Final = """\
Of E2 off the drug and now (at the present dose, off it for those who take none), of all men in the first table
and of men on the drug by weekly dose in the second: the percentage of 50 and 95 % intervals that hold the truth. A
man's interval holds his own level, his response and the doubt about all parameters; that about spreads is
left out. *Error* is the root mean square on the log scale. Men of one cohort share its estimates, so the
binomial error is a little small.
"""
_PROBABILITIES: Final = f"""\
Clinics of {dose_flags.N_MEN:,} men from the simulator: five years, four clinics, four laboratories whose results have
both errors, doses that change. Asked about are men in care who have held a known dose for two weeks and have a
result on the drug. The naive rules rank by the last value (or the mean of the log values on the drug, "<24" as
24/√2) and say 1 below 16 pg/mL. The oracle is the same model at the true parameters; where its slope
is not 1, the simulator's world is not quite the model's, or the measure itself is bent by few men near the limit.
Mean ± standard error over clinics.
"""
_WHAT_BREAKS: Final = """\
With immunoassay alone nothing in the data says how far it reads above mass spectrometry: priors stand in for that
(slope 1, constant 2.5 pg/mL; here 1.08 and 4). The whole clinic is off by the same, and that doubt is in the
probability of every man: they come out timid, with a slope far above 1. The order of men holds. Over clinics that
differ as much as the priors say nothing is left of it: *Clinics with immunoassay alone*.
Spells that nobody takes bend the oracle's probabilities most: it knows that nothing moves, and takes a high value
under an order for chance. The model takes it for movement, ranks better and says what is so.
"""
_OTHER_WORLDS: Final = """\
In the second world every mg takes away the same share of E2 (39 %): at 3 mg a week about what Emax does, at 1 mg far
less, and there is no floor. In the third the errors of readings have heavy tails at the same
standard deviation; in the fourth one result in fifty is pmol/L called pg/mL or the reverse. All men get the
model's own fit, with all draws. *Said of the true* is of the average man's E2 at that dose.
"""
_ASIDE: Final = """\
Root mean square error of log E2, off the drug and now, of men with at least four draws (of fewer, none is set
aside): fitted and estimated with all draws, and as a run does it, without draws beyond 4 SD that fit nothing else.
"""
_TRANSITION: Final = """\
Every man on the drug is drawn once more, 0-14 days after the order, while E2 falls with the drug's half-life. The
draw is left out, enters with the expected partial effect (as the dose whose full effect is the share felt by then), or
as if at steady state. Root mean square error of log E2, off the drug and now, of the men on the drug.
"""
