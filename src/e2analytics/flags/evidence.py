"""Evidence: what a flag is based on, piece by piece, and what would change it.

In    the men's rows as of a day, the estimates, the cohort, projections, causes, the criteria
Out   flag_evidence   grain patient_id, position: of every flagged man a paragraph, his results, doses, scans,
                      estimates, the rules with their sources, what would change the flag
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl

from e2analytics.flags import results
from e2analytics.flags import rules as flag_rules
from e2analytics.flags.bone import BONE_PLAN, FRACTURE, last_pairs, last_scans
from e2analytics.flags.cohort import present_men
from e2analytics.flags.context import body_fat
from e2analytics.flags.criteria import Criteria
from e2analytics.flags.explanation import ASSAYS, Row, changes, drug_state, paragraph
from e2analytics.flags.rules import FlagRules, Tier
from e2analytics.models.dose_response.next_result import (
    chance_of_more,
    result_that_clears,
    sd_after,
)
from e2analytics.models.normal import Z95
from e2analytics.reference import constants
from e2analytics.tables.patient_data import CHANGE_PROBABILITIES, Estimates, PatientData
from e2analytics.tables.registry import schema_of

_SEPARATOR: Final = "; "

_PROBABILITIES: Final = ("p_below_range", "p_attributable", "p_below_red_line")

Piece = dict[str, Any]


def evidence(
    data: PatientData,
    estimates: Estimates,
    cohort: pl.DataFrame,
    projections: pl.DataFrame,
    causes: pl.DataFrame,
    criteria: Criteria,
) -> pl.DataFrame:
    """Return the evidence for each flagged man."""
    flagged = cohort.filter(pl.col("tier") != "none")
    scans = data.dxa.with_columns(pl.col("patient_id").cast(pl.String))
    men = flagged.sort("patient_id")
    for more in (_clearing(estimates.e2, criteria), body_fat(scans)):
        men = men.join(more, on="patient_id", how="left", maintain_order="left")
    pieces = _Pieces(data, estimates, men, projections, causes, criteria)
    rows = [
        {"patient_id": man["patient_id"], "as_of": man["as_of"], "position": position, **piece}
        for man in men.iter_rows(named=True)
        for position, piece in enumerate(pieces.of(man))
    ]
    return pl.DataFrame(rows, schema=schema_of("flag_evidence"))


def _clearing(men: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return what one more result by mass spectrometry would do.

    ``clears`` is the result above which a man would no longer count as low; ``interval_ratio_after`` the ratio that
    the 95 % interval of his E2 would span, whatever the result.
    """
    if criteria.sd_of_draw is None or men.is_empty():
        unknown = pl.lit(None, dtype=pl.Float64)
        return men.select(
            "patient_id", clears=unknown, clears_chance=unknown, interval_ratio_after=unknown
        )
    limits = np.asarray(criteria.limit_quantiles_pg_ml or [criteria.limit.lower_limit_pg_ml])
    mean, sd = (
        men[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("on_mean", "on_sd")
    )
    clears = result_that_clears(
        mean, sd, criteria.sd_of_draw, limits, criteria.settings.closing_probability
    )
    chance = chance_of_more(mean, sd, criteria.sd_of_draw, clears)
    ratio_after = np.exp(2 * Z95 * sd_after(sd, criteria.sd_of_draw))
    return men.select(
        "patient_id",
        interval_ratio_after=pl.Series(ratio_after).fill_nan(None),
        clears=pl.Series(clears).fill_nan(None),
        clears_chance=pl.Series(chance).fill_nan(None),
    )


class _Pieces:
    """Pieces of evidence of each man, from tables indexed by man."""

    def __init__(
        self,
        data: PatientData,
        estimates: Estimates,
        men: pl.DataFrame,
        projections: pl.DataFrame,
        causes: pl.DataFrame,
        criteria: Criteria,
    ) -> None:
        self._criteria = criteria
        self._rules: FlagRules = flag_rules.load()
        present = present_men(data, criteria.settings, criteria.as_of)
        draws = results.weigh(data.draws, present, criteria)
        self._draws = _by_man(draws.sort("collected_at", "result_id"), men)
        self._spells = _by_man(data.episodes.sort("started_on", "drug"), men)
        self._pairs = _by_man(last_pairs(estimates.exposures).sort("site"), men)
        self._scans = _by_man(last_scans(data.densitometry).sort("site"), men)
        of_bone = data.events.filter(pl.col("kind").is_in([FRACTURE, BONE_PLAN]))
        self._events = _by_man(of_bone.sort("occurred_on", "kind"), men)
        self._projections = _by_man(projections.sort("weekly_anastrozole_mg"), men)
        self._causes = _by_man(causes.sort("position"), men)

    def of(self, man: Row) -> Iterator[Piece]:
        patient_id = man["patient_id"]
        reasons = [name for name in man["reasons"].split(_SEPARATOR) if name]
        rule = self._tier_rule(man, reasons)
        draws, projections = self._draws.get(patient_id, []), self._projections.get(patient_id, [])
        changing = list(changes(man, reasons, draws, self._criteria))
        causes = self._causes.get(patient_id, [])
        words = paragraph(man, reasons, changing, draws, projections, causes, self._criteria)
        yield _piece("explanation", words=words)
        yield from (_of_draw(draw) for draw in draws)
        yield from (_of_spell(spell) for spell in self._spells.get(patient_id, []))
        yield from (_of_pair(pair) for pair in self._pairs.get(patient_id, []))
        yield from (_of_scan(scan) for scan in self._scans.get(patient_id, []))
        yield from (_of_event(event) for event in self._events.get(patient_id, []))
        yield from self._estimates(man)
        yield from self._lines()
        yield from (self._reason(name) for name in reasons)
        status = self._rules.statuses[man["status"]]
        yield _piece("status", name=man["status"], words=status.rule, source=_cited(status))
        if rule:
            name, tier = rule
            yield _piece("tier", name=name, words=man["tier"], source=_cited(tier))
        for words, value in changing:
            yield _piece(
                "would_change",
                value_low=value,
                unit="pg/mL" if value is not None else None,
                words=words,
            )
        yield from (_of_projection(dose) for dose in projections)

    def _tier_rule(self, man: Row, reasons: Sequence[str]) -> tuple[str, Tier] | None:
        """Return the rule that gave the tier; None where the tier of the run before is held."""
        given = set(reasons)
        for name, rule in self._rules.tiers.items():
            holds = given & set(rule.any) and given & set(rule.also or rule.any)
            if holds and not given & set(rule.unless):
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
        for name in (*_PROBABILITIES, *CHANGE_PROBABILITIES):
            yield _piece(
                "estimate",
                name=name,
                value_low=man[name],
                value_high=man[name],
                unit="1",
                source=model,
            )


def _by_man(rows: pl.DataFrame, men: pl.DataFrame) -> dict[str, list[Row]]:
    theirs = rows.join(men.select("patient_id"), on="patient_id", how="semi", maintain_order="left")
    found: dict[str, list[Row]] = {}
    for row in theirs.iter_rows(named=True):
        found.setdefault(row["patient_id"], []).append(row)
    return found


def _piece(piece: str, **what: Any) -> Piece:
    return {"piece": piece, **what}


def _of_draw(draw: Row) -> Piece:
    return _piece(
        "e2_result",
        name=ASSAYS[draw["assay"]],
        id=draw["result_id"],
        on=draw["collected_on"],
        value_low=draw["value_low"],
        value_high=draw["value_high"],
        unit="pg/mL",
        words=drug_state(draw),
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
    drugs = f"; other drugs that move bone: {pair['bone_drugs']}" if pair["bone_drugs"] else ""
    return _piece(
        "scan_pair",
        name=pair["site"],
        id=f"{pair['first_scan_id']}, {pair['second_scan_id']}",
        on=pair["second_on"],
        value_low=pair["change_pct"],
        value_high=pair["change_pct"],
        unit="%",
        words=f"since {pair['first_on']}; LSC {pair['lsc_pct']:.1f} %: "
        + pair["lsc_verdict"].replace("_", " ")
        + drugs,
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


def _of_event(event: Row) -> Piece:
    return _piece(
        "event",
        name=event["kind"],
        on=event["occurred_on"],
        words=event["kind"].replace("_", " "),
        source_file=event["source_file"],
        source_line=event["source_line"],
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


def _cited(rule: flag_rules.Cited) -> str:
    return f"{rule.source} (confidence: {rule.confidence})"
