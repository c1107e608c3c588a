"""The sums of a run: equal to what they stand for, and of any parts of the men as of all together."""

from collections import Counter
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.curve import rows as curve_rows
from e2analytics.exposure.confounders import find_confounders, why_confounded
from e2analytics.exposure.draws import why_unusable
from e2analytics.exposure.scan_pairs import pair_scans
from e2analytics.flags import cohort, judged
from e2analytics.ingest import ledger
from e2analytics.ingest.intake import Intake
from e2analytics.ingest.read_drop import Sources
from e2analytics.measures import rates, units
from e2analytics.measures.clinic_rows import clinics
from e2analytics.reference import measures
from e2analytics.reference.drugs import gives_testosterone
from e2analytics.run import attrition
from e2analytics.run.frames import ExposureTables, Run
from e2analytics.run.measured import as_measured
from e2analytics.run.steps import (
    account_for,
    as_of_view,
    grade,
    link,
    sum_clinics,
    sum_intake,
    sum_men,
    take_in,
)
from e2analytics.settings import FlagSettings
from e2analytics.tables.patient_data import CareUnits, PatientData
from e2analytics.tables.snapshot import Outputs, Snapshot
from e2analytics.tables.sums import SUMS, Sums, minus, plus
from e2analytics.tables.vocabulary import CURVE_COVARIATES
from tests.conftest import AS_OF, QUICK

RUN = Run(as_of=AS_OF, settings=QUICK)


@dataclass(frozen=True)
class Clinic:
    """What the sums of a simulated clinic are made from."""

    intake: Intake
    data: PatientData
    care: CareUnits
    exposure: ExposureTables
    cohort: pl.DataFrame
    flags: pl.DataFrame

    def sums(self) -> Sums:
        of_rows = plus(sum_intake(self.intake, self.intake.files), sum_clinics(self.data))
        found = sum_men(self.data, self.care, self.exposure, self.cohort, self.flags, RUN)
        return plus(of_rows, found)

    def part(self, men: pl.Series) -> tuple["Clinic", "Clinic"]:
        """Return the clinic of some men, and that of all others, with the rows that are nobody's."""
        of_them = pl.col("patient_id").cast(pl.String).is_in(men.implode()).fill_null(False)
        return self._of(of_them, pl.lit(False)), self._of(~of_them, pl.lit(True))

    def _of(self, men: pl.Expr, nobodys: pl.Expr) -> "Clinic":
        def kept(frame: pl.DataFrame) -> pl.DataFrame:
            return frame.filter(men if "patient_id" in frame.columns else nobodys)

        def of(frames: Any) -> Any:
            named = {each.name: getattr(frames, each.name) for each in fields(frames)}
            rows = {name: kept(each) for name, each in named.items() if name != "clinics"}
            return replace(frames, **rows)

        rows = {table: kept(each) for table, each in self.intake.rows.items()}
        intake = replace(self.intake, rows=rows, row_fates=ledger.row_fates(rows))
        found = kept(self.cohort), kept(self.flags)
        return Clinic(intake, of(self.data), of(self.care), of(self.exposure), *found)


@pytest.fixture(scope="module")
def clinic_of_run(sources: Sources, outputs: Outputs) -> Clinic:
    """The simulated clinic of all tests; its exposures are those of its run."""
    intake = take_in(sources, Snapshot(), RUN)
    rows = as_of_view(intake, RUN)
    data = link(rows, clinics(sum_clinics(rows), AS_OF), RUN)
    measured = as_measured(data, None, QUICK.flag, AS_OF)
    care = units.care_units(measured, [*rates.month_ends(AS_OF), AS_OF])
    names = [each.name for each in fields(ExposureTables)]
    exposure = ExposureTables(**{name: outputs.tables[name] for name in names})
    return Clinic(intake, data, care, exposure, outputs.tables["cohort"], outputs.tables["flags"])


@pytest.fixture(scope="module")
def sums(clinic_of_run: Clinic) -> Sums:
    return clinic_of_run.sums()


@pytest.mark.parametrize(("share", "seed"), [(0, 1), (0.01, 2), (0.5, 3), (0.5, 4), (1, 5)])
def test_the_sums_of_two_parts_of_the_men_are_those_of_all(
    share: float, seed: int, clinic_of_run: Clinic, sums: Sums
):
    men = clinic_of_run.data.patients["patient_id"]
    chosen = np.random.default_rng(seed).random(len(men)) < share

    some, others = (each.sums() for each in clinic_of_run.part(men.filter(pl.Series(chosen))))

    together, without = plus(some, others), minus(sums, some)
    for name in SUMS:
        assert_frame_equal(together[name], sums[name])
        assert_frame_equal(without[name], others[name])
        assert len(sums[name]) > 0


def test_what_is_said_of_some_men_is_what_is_said_of_them_among_all(clinic_of_run: Clinic):
    of_all = clinic_of_run.data
    men = of_all.patients["patient_id"].gather_every(7)
    data = clinic_of_run.part(men)[0].data
    of_them = pl.col("patient_id").is_in(men.implode())

    pairs = pair_scans(
        data.dxa, data.patients, of_all.precision, QUICK.link,
        of_all.scanner_shifts, data.clinics.makers,
    )  # fmt: skip
    apart = [
        judged.set_apart_from_measures(each, QUICK.flag.washout_days, AS_OF)
        for each in (data, of_all)
    ]
    found, expected = (
        units.care_units(as_measured(each, None, QUICK.flag, AS_OF), rates.month_ends(AS_OF)).units
        for each in (data, of_all)
    )

    assert_frame_equal(pairs, of_all.pairs.filter(of_them))
    assert_frame_equal(apart[0], apart[1].filter(of_them))
    assert_frame_equal(found, expected.filter(of_them), check_row_order=False)


def test_fates_are_counted_row_by_row(clinic_of_run: Clinic, sums: Sums):
    counted = Counter(
        (row[0], table, *row[1:])
        for table, rows in clinic_of_run.intake.rows.items()
        for row in rows.select("source_file", "fate", "why").iter_rows()
    )

    assert {row[:4]: row[4] for row in sums["row_fates"].iter_rows()} == counted


def test_a_clinic_is_known_by_the_rows_of_all_its_men(clinic_of_run: Clinic):
    data = clinic_of_run.data
    clinic = dict(data.patients.select("patient_id", "clinic_id").iter_rows())
    newest: dict[str, date] = {}
    for man, on in data.labs.select("patient_id", "collected_on").iter_rows():
        newest[clinic[man]] = max(on, newest.get(clinic[man], on))
    told = {
        clinic[man]
        for man in data.medications.filter(gives_testosterone())["patient_id"].to_list()
        + data.pending.filter(pl.col("what") == "androgen")["patient_id"].to_list()
        + data.patients.filter(pl.col("trt_started_on") <= AS_OF)["patient_id"].to_list()
    }
    named = {
        clinic[man]
        for man, detail in data.events.select("patient_id", "detail").iter_rows()
        if detail in ("breast_tenderness", "gynaecomastia")
    }

    facts = data.clinics.facts.rows()

    assert facts == [(each, newest[each], each in told, each in named) for each in sorted(newest)]
    assert len(facts) == len(set(clinic.values())) > 1


def test_units_are_counted_by_the_month_and_clinic_in_which_they_were_due(
    clinic_of_run: Clinic, sums: Sums
):
    data, care = clinic_of_run.data, clinic_of_run.care
    clinic = dict(data.patients.select("patient_id", "clinic_id").iter_rows())
    counted: dict[tuple[str, str, str], list[int]] = {}
    for unit in care.units.iter_rows(named=True):
        month = f"{unit['counted_on']:%Y-%m}"
        if not "2024-10" <= month <= "2026-09":
            continue
        key = (month, clinic[unit["patient_id"]], unit["measure"])
        of_key = counted.setdefault(key, [0, 0, 0, 0])
        is_met, excepted = unit["met"] is True, unit["excepted"] and unit["met"] is not True
        of_key[0] += is_met
        of_key[1] += unit["met"] is not None and not excepted
        of_key[2] += excepted
        of_key[3] += unit["reported_separately"]

    found = sums["unit_counts"].with_columns(pl.col("month_end").dt.strftime("%Y-%m"))

    assert {row[:3]: list(row[3:]) for row in found.iter_rows()} == {
        key: counts for key, counts in counted.items() if any(counts)
    }


def test_grades_have_the_medians_of_the_exact_times_to_less_than_a_minute(
    clinic_of_run: Clinic, sums: Sums
):
    intake = clinic_of_run.intake
    days = (pl.col("reported_at") - pl.col("collected_at")).dt.total_seconds() / 86_400
    exact = (
        intake.accepted("labs")
        .filter(pl.col("imputed") == "", days >= 0)
        .group_by(month=pl.col("collected_on").dt.strftime("%Y-%m"))
        .agg(exact=days.median(), n=pl.len())
    )

    graded = grade(sums, intake.files, Snapshot(), RUN).filter(pl.col("table") == "labs")
    both = graded.join(exact, on="month")

    assert len(both) > 60
    assert both["days_to_report_of"].to_list() == both["n"].to_list()
    assert both["days_to_report"].to_list() == pytest.approx(both["exact"].to_list(), abs=1 / 1440)


def patchy(clinic: Clinic, lacking: dict[str, int]) -> Clinic:
    """Take covariates away from one pair (level) in so many."""
    number = pl.int_range(pl.len())
    gone = [pl.when(number % every != 0).then(name).alias(name) for name, every in lacking.items()]
    exposures = clinic.exposure.exposures.with_columns(gone)
    return replace(clinic, exposure=replace(clinic.exposure, exposures=exposures))


@pytest.mark.parametrize(
    ("lacking", "used"),
    [
        ({}, CURVE_COVARIATES),
        ({"bmi_kg_m2": 7}, CURVE_COVARIATES),
        ({"bmi_kg_m2": 2}, ("age_years", "log_testosterone", "years_on_trt")),
        ({"bmi_kg_m2": 2, "age_years": 9, "years_on_trt": 3}, ("age_years", "log_testosterone")),
    ],
)
def test_men_and_pairs_are_accounted_for_as_the_primary_curve_uses_them(
    lacking: dict[str, int], used: tuple[str, ...], clinic_of_run: Clinic
):
    clinic = patchy(clinic_of_run, lacking)
    exposures = clinic.exposure.exposures.filter(curve_rows.at_site("pooled"))
    measured = curve_rows.Measured(*[exposures] * 5)
    rows = curve_rows.complete_rows(measured, "pooled", curve_rows.CHANGE, QUICK.fit)

    lost = account_for(clinic.sums(), RUN)

    assert rows.covariates == used
    left = dict(lost.group_by("unit", maintain_order=True).agg(pl.col("n_left").last()).rows())
    assert (left["patients"], left["pairs"]) == (rows.n_men, len(rows.rows))
    by_reason = exposures.drop_nulls("why_not")["why_not"].value_counts()
    assert dict(by_reason.rows()).items() <= dict(lost.select("reason", "n_out").rows()).items()


@pytest.mark.parametrize(
    ("every", "used"), [(20, curve_rows.LEVEL_COVARIATES), (2, ("age_years",))]
)
def test_without_a_pair_men_are_accounted_for_by_their_levels(
    every: int, used: tuple[str, ...], clinic_of_run: Clinic
):
    exposure = clinic_of_run.exposure
    number = pl.int_range(pl.len())
    levels = exposure.levels.filter(curve_rows.at_site("pooled")).with_columns(
        pl.when(number % every != 0).then("bmi_kg_m2").alias("bmi_kg_m2")
    )
    unpaired = replace(exposure, exposures=exposure.exposures.clear(), levels=levels)

    lost = account_for(replace(clinic_of_run, exposure=unpaired).sums(), RUN)

    scans = clinic_of_run.data.dxa.filter(curve_rows.at_site("pooled"))
    on_the_way = (clinic_of_run.data.patients, scans, levels, levels.drop_nulls(used))
    men = lost.filter(pl.col("unit") == "patients")
    assert men["n_left"].to_list() == [frame["patient_id"].n_unique() for frame in on_the_way]
    assert lost.filter(pl.col("unit") == "pairs")["n_in"].to_list() == [0]


def test_draws_are_accounted_for_one_by_one(clinic_of_run: Clinic, sums: Sums):
    data = clinic_of_run.data
    spells = find_confounders(data.patients, data.medications, QUICK.flag)
    unusable = data.draws.select(why_unusable()).to_series().to_list()
    confounded = why_confounded(data.draws, spells).to_list()
    whys = Counter(first or second for first, second in zip(unusable, confounded, strict=True))

    lost = account_for(sums, RUN).filter(pl.col("unit") == "draws", pl.col("n_out") > 0)

    assert dict(lost.select("reason", "n_out").rows()) == {
        why: n for why, n in whys.items() if why is not None
    }


def test_men_who_are_not_judged_are_counted_by_reason(clinic_of_run: Clinic, sums: Sums):
    data = clinic_of_run.data
    on_drug = cohort.men_on_drug(data.episodes, FlagSettings(), AS_OF)
    apart = judged.set_apart(on_drug, data, AS_OF)

    tallied = attrition.Tallies(sums["tallies"]).by_reason("men", "set_apart")

    assert tallied == Counter(apart["why"]) != {}


def test_what_changes_mens_answers_is_told_from_one_day_to_another(sums: Sums):
    def answers(days: int) -> pl.DataFrame:
        known = clinics(sums, AS_OF + timedelta(days=days))
        return known.answers(FlagSettings().stale_feed_days)

    today, later, much_later = (answers(days) for days in (0, 20, 2000))

    assert_frame_equal(today, later)
    assert today["stale_feed"].any() is False
    assert much_later["stale_feed"].all()
    assert (much_later["unavailable"] != today["unavailable"]).all()
    assert set(much_later["unavailable"][0].split()) == set(measures.load().measures)
