"""Explain: what a flag rests on, piece by piece, and what would change it.

In    what is known of the men, the cohort of the day, projections, the limit in use
Out   flag_evidence   grain patient_id, position: of every flagged man a paragraph, his results, doses, scans,
                      estimates, the rules with their sources, what would change the flag

Information for a clinician, never an order: what is expected at other doses is said, not what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from e2analytics.flags import rules as flag_rules
from e2analytics.flags.cohort import last_pairs, last_scans
from e2analytics.flags.criteria import Criteria
from e2analytics.flags.rules import FlagRules, Tier
from e2analytics.models.dose_response.next_result import chance_of_more, result_that_clears
from e2analytics.reference import constants
from e2analytics.tables.censoring import wholly_below
from e2analytics.tables.patient_data import Estimates, PatientData
from e2analytics.tables.registry import schema_of

_SEPARATOR: Final = "; "
_LOW: Final = (
    "below_range_by_the_drug",
    "low_without_the_drug",
    "perhaps_below_range",
    "probably_below_red_line",
    "held_open",
)
_ASSAYS: Final = {"ms": "mass spectrometry", "ia": "immunoassay", "unknown": "an unknown assay"}

Piece = dict[str, Any]
Row = dict[str, Any]


def evidence(
    data: PatientData,
    estimates: Estimates,
    cohort: pl.DataFrame,
    projections: pl.DataFrame,
    criteria: Criteria,
) -> pl.DataFrame:
    """Return the evidence for each flagged man."""
    flagged = cohort.filter(pl.col("tier") != "none")
    men = flagged.join(_clearing(estimates.e2, criteria), on="patient_id", how="left").sort(
        "patient_id"
    )
    pieces = _Pieces(data, estimates, men, projections, criteria)
    rows = [
        {"patient_id": man["patient_id"], "as_of": man["as_of"], "position": position, **piece}
        for man in men.iter_rows(named=True)
        for position, piece in enumerate(pieces.of(man))
    ]
    return pl.DataFrame(rows, schema=schema_of("flag_evidence"))


def _clearing(men: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return the result by mass spectrometry above which a man would no longer count as low."""
    if criteria.sd_of_draw is None or men.is_empty():
        unknown = pl.lit(None, dtype=pl.Float64)
        return men.select("patient_id", clears=unknown, clears_chance=unknown)
    limits = np.asarray(criteria.limit_quantiles_pg_ml or [criteria.limit.lower_limit_pg_ml])
    mean, sd = (
        men[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("on_mean", "on_sd")
    )
    clears = result_that_clears(
        mean, sd, criteria.sd_of_draw, limits, criteria.settings.closing_probability
    )
    chance = chance_of_more(mean, sd, criteria.sd_of_draw, clears)
    return men.select(
        "patient_id",
        clears=pl.Series(clears).fill_nan(None),
        clears_chance=pl.Series(chance).fill_nan(None),
    )


class _Pieces:
    """The pieces of evidence of men, from tables that are looked up by man."""

    def __init__(
        self,
        data: PatientData,
        estimates: Estimates,
        men: pl.DataFrame,
        projections: pl.DataFrame,
        criteria: Criteria,
    ) -> None:
        self._criteria = criteria
        self._rules: FlagRules = flag_rules.load()
        below = wholly_below(criteria.settings.red_line_pg_ml) & (pl.col("assay") == "ms")
        draws = data.draws.with_columns(ms_below_red_line=below)
        self._draws = _by_man(draws.sort("collected_at", "result_id"), men)
        self._spells = _by_man(data.episodes.sort("started_on", "drug"), men)
        self._pairs = _by_man(last_pairs(estimates.exposures).sort("site"), men)
        self._scans = _by_man(last_scans(data.densitometry).sort("site"), men)
        self._projections = _by_man(projections.sort("weekly_anastrozole_mg"), men)

    def of(self, man: Row) -> Iterator[Piece]:
        patient_id = man["patient_id"]
        reasons = [name for name in man["reasons"].split(_SEPARATOR) if name]
        rule = self._tier_rule(man, reasons)
        changes = list(self._changes(man, reasons))
        yield _piece("explanation", words=self._paragraph(man, reasons, changes))
        yield from (_of_draw(draw) for draw in self._draws.get(patient_id, []))
        yield from (_of_spell(spell) for spell in self._spells.get(patient_id, []))
        yield from (_of_pair(pair) for pair in self._pairs.get(patient_id, []))
        yield from (_of_scan(scan) for scan in self._scans.get(patient_id, []))
        yield from self._estimates(man)
        yield from self._lines()
        yield from (self._reason(name) for name in reasons)
        status = self._rules.statuses[man["status"]]
        yield _piece("status", name=man["status"], words=status.rule, source=_cited(status))
        if rule:
            name, tier = rule
            yield _piece("tier", name=name, words=man["tier"], source=_cited(tier))
        for words, value in changes:
            yield _piece(
                "would_change",
                value_low=value,
                unit="pg/mL" if value is not None else None,
                words=words,
            )
        yield from (_of_projection(dose) for dose in self._projections.get(patient_id, []))

    def _tier_rule(self, man: Row, reasons: Sequence[str]) -> tuple[str, Tier] | None:
        """Return the rule that gave the tier; none where the tier of the run before is held."""
        said = set(reasons)
        for name, rule in self._rules.tiers.items():
            holds = said & set(rule.any) and said & set(rule.also or rule.any)
            if holds and not said & set(rule.unless):
                return (name, rule) if rule.tier == man["tier"] else None
        return None

    def _reason(self, name: str) -> Piece:
        reason = self._rules.reasons[name]
        thresholds = ", ".join(
            f"{setting} {getattr(self._criteria.settings, setting):g}"
            for setting in reason.settings
        )
        words = f"{reason.rule} ({thresholds})" if thresholds else reason.rule
        return _piece("reason", name=name, words=words, source=_cited(reason))

    def _lines(self) -> Iterator[Piece]:
        limit, settings = self._criteria.limit, self._criteria.settings
        fitted = f"fitted at {limit.site}, model {limit.model_id}"
        literature = constants.DEFAULT_LOWER_LIMIT_E2.source
        yield _piece(
            "limit",
            name="limit in use",
            value_low=limit.lower_limit_pg_ml,
            unit="pg/mL",
            source=fitted if limit.source == "fitted" else literature,
        )
        yield _piece(
            "limit",
            name="red line",
            value_low=settings.red_line_pg_ml,
            unit="pg/mL",
            source=constants.RED_LINE_E2.source,
        )

    def _estimates(self, man: Row) -> Iterator[Piece]:
        if man["e2_expected_pg_ml"] is None:
            return
        model = f"dose response, model {man['model_id']}"
        yield _piece(
            "estimate",
            name="E2 at the present dose, 95 %",
            value_low=man["e2_ci_low"],
            value_high=man["e2_ci_high"],
            unit="pg/mL",
            words=f"expected {man['e2_expected_pg_ml']:.1f} pg/mL",
            source=model,
        )
        off = man["e2_off_drug_pg_ml"]
        yield _piece(
            "estimate",
            name="E2 off the drug",
            value_low=off,
            value_high=off,
            unit="pg/mL",
            source=model,
        )
        for name in ("p_below_range", "p_attributable", "p_below_red_line"):
            yield _piece(
                "estimate",
                name=name,
                value_low=man[name],
                value_high=man[name],
                unit="1",
                source=model,
            )

    def _changes(self, man: Row, reasons: Sequence[str]) -> Iterator[tuple[str, float | None]]:
        if _has_stopped(man):
            yield (
                "The flag closes by itself when the drug is washed out, more than "
                f"{self._criteria.settings.washout_days} days after he stopped.",
                None,
            )
        elif set(reasons) & set(_LOW) and man["e2_expected_pg_ml"] is not None:
            yield self._result_that_clears(man), man["clears"]
        for name in reasons:
            if (by := self._rules.reasons[name].changes_with) is not None:
                by = by.format(until=self._counts_until(man))
                yield f"“{_capital(self._rules.reasons[name].words)}” changes with {by}.", None

    def _result_that_clears(self, man: Row) -> str:
        if man["clears"] is None:
            return "No single result would lift the suspicion of a low E2."
        closes = f"{self._criteria.settings.closing_probability:.0%}"
        return (
            "One more result by mass spectrometry at the present dose above about "
            f"{man['clears']:.0f} pg/mL (chance {_chance(man['clears_chance'])}) would bring the chance of being below the limit "
            f"under {closes}, where a flag of low E2 closes."
        )

    def _paragraph(
        self, man: Row, reasons: Sequence[str], changes: Sequence[tuple[str, float | None]]
    ) -> str:
        status = self._rules.statuses[man["status"]].words
        words = (self._rules.reasons[name].words for name in reasons)
        found = _SEPARATOR.join(each for each in words if each != status)
        sentences = [
            f"{_capital(status)}, tier {man['tier']}{': ' if found else ''}{found}.",
            _last_result(man),
            self._result_below_red_line(man),
            _expected(man),
            self._chances(man),
            *(words for words, _ in changes),
            *self._at_half_the_dose(man),
        ]
        return " ".join(sentence for sentence in sentences if sentence)

    def _last_below_red_line(self, man: Row) -> Row | None:
        """Return the last result that makes him critical; None if none does."""
        oldest = man["as_of"] - timedelta(days=self._criteria.settings.informative_days)
        below = [
            draw
            for draw in self._draws.get(man["patient_id"], [])
            if draw["ms_below_red_line"] and draw["collected_on"] >= oldest
        ]
        return below[-1] if below else None

    def _counts_until(self, man: Row) -> date | None:
        """Return the last day on which a result below the red line counts."""
        last = self._last_below_red_line(man)
        days = timedelta(days=self._criteria.settings.informative_days)
        return None if last is None else last["collected_on"] + days

    def _result_below_red_line(self, man: Row) -> str:
        """Name the result that makes him critical, where it is not the last one."""
        last = self._last_below_red_line(man)
        if last is None or last["collected_on"] == man["last_e2_on"]:
            return ""
        return (
            f"Below the red line: {_measured(last['value_low'], last['value_high'])} pg/mL by mass "
            f"spectrometry on {last['collected_on']}, {_state_of(last)}."
        )

    def _chances(self, man: Row) -> str:
        if man["p_below_range"] is None:
            return ""
        limit = f"{man['lower_limit_pg_ml']:.1f} pg/mL ({man['limit_source']})"
        return (
            f"Chance of being below the limit in use, {limit}: {_chance(man['p_below_range'])}; below it "
            f"because of the drug: {_chance(man['p_attributable'])}; below the red line of "
            f"{self._criteria.settings.red_line_pg_ml:g} pg/mL: {_chance(man['p_below_red_line'])}."
        )

    def _at_half_the_dose(self, man: Row) -> Iterator[str]:
        dose = man["weekly_anastrozole_mg"]
        lower = [
            row
            for row in self._projections.get(man["patient_id"], [])
            if dose is not None and 0 < row["weekly_anastrozole_mg"] < dose
        ]
        if lower:
            next_lower = lower[-1]
            yield (
                f"At {next_lower['weekly_anastrozole_mg']:g} mg a week {next_lower['e2_pg_ml']:.0f} pg/mL "
                f"(95 % {next_lower['e2_ci_low_pg_ml']:.0f} to {next_lower['e2_ci_high_pg_ml']:.0f}) would "
                "be expected: information, no order."
            )


def _by_man(rows: pl.DataFrame, men: pl.DataFrame) -> dict[str, list[Row]]:
    theirs = rows.join(men.select("patient_id"), on="patient_id", how="semi", maintain_order="left")
    found: dict[str, list[Row]] = {}
    for row in theirs.iter_rows(named=True):
        found.setdefault(row["patient_id"], []).append(row)
    return found


def _piece(piece: str, **what: Any) -> Piece:
    return {"piece": piece, **what}


def _state_of(draw: Row) -> str:
    """Say what he took on the day of a draw."""
    if draw["in_transition"] or draw["on_other"]:
        return "while the dose was changing, or on another inhibitor: not in the estimate"
    if not draw["on_drug"]:
        return "off the drug"
    dose = draw["weekly_anastrozole_mg"]
    return f"on {dose:g} mg a week" if dose is not None else "on the drug, dose unknown"


def _of_draw(draw: Row) -> Piece:
    return _piece(
        "e2_result",
        name=_ASSAYS[draw["assay"]],
        id=draw["result_id"],
        on=draw["collected_on"],
        value_low=draw["value_low"],
        value_high=draw["value_high"],
        unit="pg/mL",
        words=_state_of(draw),
        source_file=draw["source_file"],
        source_line=draw["source_line"],
    )


def _of_spell(spell: Row) -> Piece:
    ended: date | None = spell["ended_on"]
    return _piece(
        "dose",
        name=spell["drug"],
        on=spell["started_on"],
        value_low=spell["weekly_dose_mg"],
        value_high=spell["weekly_dose_mg"],
        unit="mg/week",
        words=f"until {ended}" if ended else f"in force, last ordered on {spell['ordered_on']}",
        source_file=spell["source_file"],
        source_line=spell["source_line"],
    )


def _of_pair(pair: Row) -> Piece:
    return _piece(
        "scan_pair",
        name=pair["site"],
        id=f"{pair['first_scan_id']}, {pair['second_scan_id']}",
        on=pair["second_on"],
        value_low=pair["change_pct"],
        value_high=pair["change_pct"],
        unit="%",
        words=f"since {pair['first_on']}; LSC {pair['lsc_pct']:.1f} %: "
        + pair["lsc_verdict"].replace("_", " "),
    )


def _of_scan(scan: Row) -> Piece:
    score = scan["score_used"]
    value = scan[score] if score else None
    return _piece(
        "scan",
        name=scan["site"],
        id=scan["scan_id"],
        on=scan["scanned_on"],
        value_low=value,
        value_high=value,
        unit={"t_score": "T-score", "z_score": "Z-score"}.get(score or ""),
        words=(scan["bone_class"] or scan["why_not"] or "").replace("_", " "),
    )


def _of_projection(dose: Row) -> Piece:
    return _piece(
        "projection",
        name=f"{dose['weekly_anastrozole_mg']:g} mg a week",
        value_low=dose["e2_ci_low_pg_ml"],
        value_high=dose["e2_ci_high_pg_ml"],
        unit="pg/mL",
        words=f"expected {dose['e2_pg_ml']:.1f} pg/mL: information, no order",
    )


def _last_result(man: Row) -> str:
    if man["last_e2_on"] is None:
        return "No E2 on record."
    value = _measured(man["last_e2_low_pg_ml"], man["last_e2_high_pg_ml"])
    return f"Last E2 {value} pg/mL by {_ASSAYS[man['assay']]} on {man['last_e2_on']}."


def _measured(low: float, high: float | None) -> str:
    if high is None:
        return f"above {low:.1f}"
    return f"below {high:.1f}" if low < high else f"{high:.1f}"


def _has_stopped(man: Row) -> bool:
    """Tell whether he has just stopped anastrozole: an estimate, and no dose any more."""
    return man["weekly_anastrozole_mg"] == 0 and man["e2_expected_pg_ml"] is not None


def _expected(man: Row) -> str:
    if man["e2_expected_pg_ml"] is None:
        return "No E2 level can be estimated."
    dose = man["weekly_anastrozole_mg"]
    if _has_stopped(man):
        at = "the dose that he stopped"
    else:
        at = f"{dose:g} mg of anastrozole a week" if dose is not None else "his unknown dose"
    return (
        f"At {at} his E2 is expected at {man['e2_expected_pg_ml']:.1f} pg/mL (95 % "
        f"{man['e2_ci_low']:.1f} to {man['e2_ci_high']:.1f}), off the drug at "
        f"{man['e2_off_drug_pg_ml']:.0f}, from {man['n_draws']} results."
    )


def _chance(probability: float) -> str:
    """Say a probability; never a certainty that the model cannot give."""
    if probability < 0.01:
        return "below 1%"
    return "above 99%" if probability > 0.99 else f"{probability:.0%}"


def _cited(rule: flag_rules.Cited) -> str:
    return f"{rule.source} (confidence: {rule.confidence})"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
