"""Measure units: everything that a quality measure counts, and whether it was met.

In    the men's rows as of a day, and the last days of the months
Out   measure units   grain: a unit of a measure; ``counted_on`` gives its month

``met`` is null where the unit cannot be assessed. A unit that is ``excepted`` and not met does not count.
``reported_separately`` marks units that are reported next to the measure. ``schemas/reference/measures.yaml`` defines what
each measure counts, with all its numbers. A unit is counted when its answer was due: later rows do not change
it.

A row in quarantine is no lack of care. It answers a measure that asks whether something was done; where a
measure asks for a finding, it excepts the unit until the row is corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Final

import polars as pl

from e2analytics.measures import bone_units, e2_units, monitoring_units, treatment_history
from e2analytics.measures.unit_rows import UnitRows
from e2analytics.reference import measures
from e2analytics.reference.measures import Measure
from e2analytics.tables.patient_data import CareUnits, PatientData

_FLAGS: Final = ("excepted", "reported_separately")
_COLUMNS: Final = ["measure", "patient_id", "counted_on", "met", *_FLAGS]
_RULES: Final[Mapping[str, Callable[[UnitRows, Measure], pl.DataFrame]]] = {
    "baseline_dxa": bone_units.baseline_dxa,
    "follow_up_dxa": bone_units.follow_up_dxa,
    "e2_after_change": e2_units.e2_after_change,
    "ms_share": e2_units.ms_share,
    "e2_below_red_line": e2_units.e2_below,
    "e2_below_amber_line": e2_units.e2_below,
    "response_to_low_e2": e2_units.response_to_low_e2,
    "indicated_start": e2_units.indicated_start,
    "vitamin_d_tested": monitoring_units.vitamin_d_tested,
    "vitamin_d_sufficient": monitoring_units.vitamin_d_sufficient,
    "calcium_counselling": monitoring_units.calcium_counselling,
    "bone_loss": bone_units.bone_loss,
    "bone_loss_off_the_drug": bone_units.bone_loss_off_the_drug,
    "haematocrit_tested": monitoring_units.haematocrit_tested,
    "psa_tested": monitoring_units.psa_tested,
    "osteoporosis_action": bone_units.osteoporosis_action,
    "de_escalation": bone_units.de_escalation,
    "haematocrit_high": monitoring_units.haematocrit_high,
}


def care_units(data: PatientData, days: Iterable[date]) -> CareUnits:
    """Return the units of all measures, and the courses of treatment.

    Parameters
    ----------
    data
        The men's rows.
    days
        Days on which men under treatment are counted: the last days of months.
    """
    each_day = sorted(set(days))
    doses = treatment_history.with_starts_and_changes(
        data.episodes, measures.load().new_start_after_days
    )
    courses = treatment_history.courses(doses)
    return CareUnits(
        units=measure_units(data, doses, courses, each_day),
        doses=doses,
        courses=courses,
        lowerings=treatment_history.lowerings(doses),
    )


def measure_units(
    data: PatientData, doses: pl.DataFrame, courses: pl.DataFrame, days: Sequence[date]
) -> pl.DataFrame:
    """Return the units of all measures.

    Parameters
    ----------
    data
        The men's rows.
    doses, courses
        Of :mod:`e2analytics.measures.treatment_history`.
    days
        Days on which men under treatment are counted.
    """
    rows = UnitRows(data, doses, courses, days)
    return pl.concat(
        _units(name, _RULES[name](rows, measure))
        for name, measure in measures.load().measures.items()
    )


def _units(name: str, found: pl.DataFrame) -> pl.DataFrame:
    unset = (pl.lit(False).alias(flag) for flag in _FLAGS if flag not in found.columns)
    return found.with_columns(pl.lit(name).alias("measure"), *unset).select(_COLUMNS)
