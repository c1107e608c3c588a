"""Slips: from accepted rows to evidence, suspects and conversions."""

import tomllib
from dataclasses import replace

import polars as pl
import pytest
from pydantic import ValidationError

from e2analytics.ingest.unit_errors import find
from e2analytics.ingest.unit_errors.evidence import EVIDENCE_SCHEMA
from e2analytics.settings import SlipDecision, SlipSettings
from e2analytics.simulate.slips import PlantedSlip, SimulatedLabs, SlipDesign, simulate
from e2analytics.tables.registry import columns_of
from e2analytics.tables.source import ROW

PLAN = SlipDesign(n_laboratories=6, n_months=10, n_clinics=6, seed=4)
FACTOR = 1 / 0.27238
JULY = PlantedSlip("estradiol", 3, 6, 6, 1.0, FACTOR)  # the seventh month, 2024-07
NOTHING_DECIDED = SlipSettings()


@pytest.fixture(scope="module")
def slipped() -> SimulatedLabs:
    return simulate(PLAN, (JULY,))


def found(given: SimulatedLabs, settings: SlipSettings = NOTHING_DECIDED) -> find.MixUps:
    return find.find(given.labs, given.feeds, given.clinics, settings)


def decided(line: str) -> SlipSettings:
    return SlipSettings.model_validate(tomllib.loads(line)["slips"])


def test_where_nothing_slipped_there_is_no_evidence_and_no_suspect():
    evidence, suspects = found(simulate(PLAN))

    assert evidence.is_empty()
    assert suspects.is_empty()
    assert evidence.schema == EVIDENCE_SCHEMA
    assert suspects.schema == find.SUSPECTS_SCHEMA


def test_no_rows_no_evidence(slipped: SimulatedLabs):
    evidence, suspects = find.find(
        slipped.labs.clear(), slipped.feeds, slipped.clinics, NOTHING_DECIDED
    )

    assert evidence.is_empty()
    assert suspects.is_empty()


def test_a_month_that_slipped_is_told_with_its_unit_and_all_its_rows(slipped: SimulatedLabs):
    evidence, suspects = found(slipped)

    told = evidence.select(
        "source_kind", "source", "analyte", "month", "direction", "action", "n_suspects"
    )
    own = slipped.labs.filter(
        pl.col("collected_on").dt.month() == 7, performing_lab="lab_03", analyte="estradiol"
    )
    assert told.rows() == [
        (
            "performing_lab",
            "lab_03",
            "estradiol",
            "2024-07",
            "3.671 times too high: looks like pmol/L declared as pg/mL",
            "quarantined",
            len(own),
        )
    ]
    assert evidence["log10_bayes_factor"][0] > 4
    # Censored results, too, came in the wrong unit.
    assert set(suspects["source_line"]) == set(own["source_line"])
    assert set(suspects["slip_id"]) == {evidence["slip_id"][0]}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_rows_changes_no_byte(slipped: SimulatedLabs, seed: int):
    shuffled = replace(slipped, labs=slipped.labs.sample(fraction=1, shuffle=True, seed=seed))

    expected, again = found(slipped), found(shuffled)

    assert again.evidence.equals(expected.evidence)
    assert again.suspects.equals(expected.suspects)


def test_every_suspect_has_one_slip_and_the_evidence_counts_it():
    everywhere = tuple(JULY._replace(laboratory=lab, first_month=0) for lab in range(6))

    evidence, suspects = found(simulate(PLAN, everywhere))

    assert suspects.select(ROW).is_unique().all()
    assert evidence["n_suspects"].sum() == len(suspects) > 0
    assert set(suspects["slip_id"]) <= set(evidence["slip_id"])


def test_of_what_was_converted_the_evidence_says_so(slipped: SimulatedLabs):
    settings = decided(found(slipped).evidence["convert_line"][0])
    imputed = pl.when("slipped").then(pl.lit("unit_converted:pg/mL:pmol/L")).otherwise("imputed")
    converted = simulate(PLAN).labs.with_columns(slipped=slipped.labs["slipped"])

    evidence, suspects = find.find(
        converted.with_columns(imputed=imputed), slipped.feeds, slipped.clinics, settings
    )

    assert evidence.select("source", "month", "action", "n_results").rows() == [
        ("lab_03", "2024-07", "converted", slipped.labs["slipped"].sum())
    ]
    assert suspects.is_empty()


def test_results_that_cannot_be_are_heard_because_a_slip_may_be_why():
    # Half of all men's testosterone in ng/dL, read as nmol/L, is more than can be.
    given = simulate(PLAN, (JULY._replace(analyte="testosterone_total", factor=28.842),))
    impossible = pl.col("value_low") > 20_000
    labs = given.labs.with_columns(
        fate=pl.when(impossible).then(pl.lit("quarantined")).otherwise("fate"),
        why=pl.when(impossible).then(pl.lit("impossible_value")).otherwise("why"),
    )

    evidence, suspects = find.find(labs, given.feeds, given.clinics, NOTHING_DECIDED)

    (line,) = evidence.to_dicts()
    assert (line["source"], line["month"]) == ("lab_03", "2024-07")
    assert line["direction"] == "28.84 times too high: looks like ng/dL declared as nmol/L"
    assert len(suspects) == given.labs["slipped"].sum()


def test_what_waits_for_another_reason_is_no_evidence(slipped: SimulatedLabs):
    withdrawn = slipped.labs.with_columns(
        fate=pl.when("slipped").then(pl.lit("withdrawn")).otherwise("fate")
    )

    evidence, _ = find.find(withdrawn, slipped.feeds, slipped.clinics, NOTHING_DECIDED)

    assert evidence.is_empty()


def test_a_day_that_a_feed_made_up_is_of_no_month(slipped: SimulatedLabs):
    made_up = slipped.labs.with_columns(
        imputed=pl.when("slipped").then(pl.lit("clinic_id collected_at")).otherwise("imputed")
    )

    evidence, _ = find.find(made_up, slipped.feeds, slipped.clinics, NOTHING_DECIDED)

    assert evidence.is_empty()


def test_what_is_released_stays_in_and_in_the_evidence(slipped: SimulatedLabs):
    evidence, suspects = found(slipped, decided(found(slipped).evidence["release_line"][0]))

    assert suspects.is_empty()
    assert ("lab_03", "2024-07", "released") in evidence.select("source", "month", "action").rows()
    assert set(evidence["action"]) == {"released"}


def test_a_slip_of_some_results_cannot_be_converted_as_a_whole():
    given = simulate(PLAN, (JULY._replace(laboratory=5, share=0.3),))

    evidence, suspects = found(given)

    (line,) = evidence.filter(action="quarantined").to_dicts()
    assert line["source"] == "lab_05"
    assert 0.15 < line["share"] < 0.5
    assert line["convert_line"] is None
    caught = suspects.join(given.labs, on=ROW)
    assert caught["slipped"].mean() > 0.9


def test_ten_times_too_much_is_told_as_a_unit_or_a_decimal_point():
    given = simulate(PLAN, (JULY._replace(analyte="testosterone_total", factor=10.0),))

    evidence, _ = found(given)

    assert evidence["direction"].to_list() == [
        "10 times too high: looks like ng/L declared as ng/dL, or a decimal point in the wrong place"
    ]
    assert decided(evidence["convert_line"][0]).decisions[0].factor == pytest.approx(0.1)


def test_a_slip_of_a_clinic_is_told_of_the_clinic():
    given = simulate(PLAN)
    clinic = given.clinics.filter(clinic_id="clinic_02").select("patient_id")
    there = pl.col("patient_id").is_in(clinic["patient_id"].implode()) & (
        (pl.col("collected_on").dt.month() == 8) & (pl.col("analyte") == "testosterone_total")
    )
    scale = pl.when(there).then(28.842).otherwise(1.0)
    labs = given.labs.with_columns(pl.col("value_low", "value_high") * scale)

    evidence, _ = find.find(labs, given.feeds, given.clinics, NOTHING_DECIDED)

    assert evidence.select("source_kind", "source", "month", "direction").rows() == [
        (
            "clinic",
            "clinic_02",
            "2024-08",
            "28.84 times too high: looks like ng/dL declared as nmol/L",
        )
    ]


def test_evidence_names_no_man(slipped: SimulatedLabs):
    text = found(slipped).evidence.write_csv()

    assert "patient" not in text
    assert not set(slipped.labs["patient_id"]) & set(text.replace("/", ",").split(","))


def test_rows_without_laboratory_clinic_or_feed_are_judged_by_what_they_have(
    slipped: SimulatedLabs,
):
    nameless = slipped.labs.with_columns(pl.lit(None, pl.String).alias("performing_lab"))

    evidence, _ = find.find(
        nameless, slipped.feeds.clear(), slipped.clinics.clear(), NOTHING_DECIDED
    )

    assert evidence.is_empty()


@pytest.mark.parametrize(
    "given",
    [
        {"action": "convert"},
        {"action": "convert", "declared": "pg/mL", "really": "furlong"},
        {"action": "release", "declared": "pg/mL", "really": "pmol/L"},
        {"action": "release", "analyte": "mood"},
        {"action": "release", "months": ["2026-13"]},
        {"action": "guess"},
        {"action": "convert", "declared": "pg/mL", "really": "pmol/L", "factor": 3.67},
    ],
)
def test_a_decision_that_says_too_little_or_too_much_is_refused(given: dict[str, object]):
    line = {
        "source_kind": "feed",
        "source": "acme",
        "analyte": "estradiol",
        "months": "all",
        **given,
    }

    with pytest.raises(ValidationError):
        SlipDecision.model_validate(line)


def test_the_factor_of_a_decision_follows_from_its_units():
    decision = SlipDecision(
        source_kind="feed",
        source="acme",
        analyte="testosterone_total",
        months="all",
        action="convert",
        declared="ng/dL",
        really="nmol/L",
    )

    assert decision.factor == pytest.approx(28.842)


@pytest.mark.parametrize("trouble", ["new_assay", "peak_draws", "starting_testosterone"])
def test_what_only_looks_like_a_slip_quarantines_nothing(trouble: str):
    given = simulate(PLAN._replace(trouble=trouble))

    assert found(given).suspects.is_empty()


def test_the_simulated_rows_are_labs():
    assert set(columns_of("labs")) <= set(simulate(PLAN).labs.columns)
