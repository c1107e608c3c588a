"""FHIR medications: drugs, doses, how often, from when to when."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.exposure.episodes import find_episodes
from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.fhir.timing import doses_per_week
from e2analytics.ingest.normalise import sig
from e2analytics.ingest.read_drop import Sources
from tests.feeds.fhir.fhir_files import UCUM, bundle, coded, lines, places, rows

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def order(*dosages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "o1",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "authoredOn": "2026-01-10",
        "medicationCodeableConcept": coded("199224", RXNORM, display="anastrozole 1 MG Oral Tablet"),
        "dosageInstruction": list(dosages),
        **more,
    }  # fmt: skip


def dosage(text: str | None = None, *, mg: Any = None, **repeat: Any) -> dict[str, Any]:
    quantity = {"value": mg, "unit": "mg", "system": UCUM, "code": "mg"}
    return {
        **({"text": text} if text else {}),
        **({"timing": {"repeat": repeat}} if repeat else {}),
        **({"doseAndRate": [{"doseQuantity": quantity}]} if mg is not None else {}),
    }


WEEKLY = {"frequency": 2, "period": 1, "periodUnit": "wk"}
DAILY = {"frequency": 1, "period": 1, "periodUnit": "d"}


def only(file: Path) -> dict[str, Any]:
    (row,) = rows(file, "Medication")
    return row


def test_an_order_is_a_row(tmp_path: Path):
    assert only(lines(tmp_path, order(dosage("0.5 mg twice weekly", mg=0.50, **WEEKLY)))) == {
        "order_id": "o1",
        "patient_id": "p1",
        "drug": "anastrozole 1 MG Oral Tablet",
        "rxnorm": "199224",
        "dose_mg": "0.5",
        "doses_per_week": "2",
        "sig": "0.5 mg twice weekly",
        "started_on": "2026-01-10",
        "status": "active",
        "kind": "order",
        "source_line": 1,
        "source_part": 0,
    }


@pytest.mark.parametrize(
    ("repeat", "doses"),
    [
        ({"frequency": 1, "period": 1, "periodUnit": "d"}, 7),
        ({"frequency": 2, "period": 1, "periodUnit": "d"}, 14),
        ({"period": 2, "periodUnit": "d"}, 3.5),
        ({"frequency": 1, "period": 3, "periodUnit": "d"}, 7 / 3),
        ({"frequency": 3, "period": 1, "periodUnit": "wk"}, 3),
        ({"frequency": 1, "period": 2, "periodUnit": "wk"}, 0.5),
        ({"frequency": 1, "period": 12, "periodUnit": "h"}, 14),
        ({"frequency": 1, "period": 1, "periodUnit": "mo"}, 12 * 7 / 365.25),
        ({"frequency": 2, "frequencyMax": 2, "period": 1, "periodMax": 1, "periodUnit": "wk"}, 2),
        # Once or twice a week, every second or third day: nobody can tell.
        ({"frequency": 1, "frequencyMax": 2, "period": 1, "periodUnit": "wk"}, None),
        ({"frequencyMax": 2, "period": 1, "periodUnit": "wk"}, None),
        ({"frequency": 1, "period": 2, "periodMax": 3, "periodUnit": "d"}, None),
        ({"dayOfWeek": ["mon"], "frequencyMax": "some"}, None),
        ({"dayOfWeek": ["mon", "wed", "fri"]}, 3),
        ({"dayOfWeek": ["mon", "wed", "fri"], "timeOfDay": ["08:00:00"]}, 3),
        ({"dayOfWeek": ["mon"], "timeOfDay": ["08:00:00", "20:00:00"]}, 2),
        ({"frequency": 1, "period": 1, "periodUnit": "d", "dayOfWeek": ["mon", "thu"]}, 2),
        ({"frequency": 3, "period": 1, "periodUnit": "wk", "dayOfWeek": ["mon", "wed", "fri"]}, 3),
        ({"frequency": 1, "period": 2, "periodUnit": "wk", "dayOfWeek": ["mon"]}, 0.5),
        ({"timeOfDay": ["08:00:00", "20:00:00"]}, 14),
        ({"period": 1, "periodUnit": "d", "when": ["MORN", "NIGHT"]}, 14),
        # Once a week on two days, or every other day on two days: nobody can tell.
        ({"frequency": 1, "period": 1, "periodUnit": "wk", "dayOfWeek": ["mon", "thu"]}, None),
        ({"frequency": 1, "period": 2, "periodUnit": "d", "dayOfWeek": ["mon", "thu"]}, None),
        ({"frequency": 2}, None),
        ({"frequency": 2, "period": 1}, None),
        ({"frequency": 2, "period": 0, "periodUnit": "d"}, None),
        ({"frequency": 2, "period": 1, "periodUnit": "fortnight"}, None),
        ({"frequency": "twice", "period": 1, "periodUnit": "d"}, None),
        ({"count": 1}, None),
        # Beside times of the day: as many doses as times, or nobody can tell.
        ({**DAILY, "timeOfDay": ["08:00:00", "20:00:00"]}, None),
        ({**DAILY, "when": ["MORN", "EVE"]}, None),
        ({**DAILY, "when": ["MORN"]}, 7),
        ({**DAILY, "frequency": 2, "when": ["MORN", "EVE"]}, 14),
        ({**DAILY, "frequency": 2, "when": ["MORN"]}, None),
        ({**DAILY, "frequency": 3, "timeOfDay": ["08:00:00", "20:00:00"]}, None),
        ({"frequency": 2, "period": 1, "periodUnit": "wk", "timeOfDay": ["08:00:00"]}, 2),
        ({"frequency": 2, "period": 1, "periodUnit": "wk", "when": ["MORN", "HS"]}, None),
        ({"dayOfWeek": ["mon", "thu"], "when": ["MORN", "EVE"]}, 4),
        ({**DAILY, "dayOfWeek": ["mon", "thu"], "when": ["MORN", "EVE"]}, None),
        ({"when": ["MORN", "MORN.early"]}, None),
        ({"when": ["C"]}, None),
        ({"when": ["MORN", "EVE"], "timeOfDay": ["08:00:00"]}, None),
        ({"count": 1, **DAILY}, None),
        ({"count": 10, **DAILY}, 7),
        ({"count": 10, "countMax": 20, **DAILY}, None),
    ],
)
def test_a_timing_is_doses_a_week_or_unknown(tmp_path: Path, repeat: Any, doses: float):
    row = only(lines(tmp_path, order(dosage(**repeat))))

    written = row.get("doses_per_week")
    assert (written and float(written)) == (doses and pytest.approx(doses, rel=1e-12))


@pytest.mark.parametrize(("code", "doses"), [("QD", "7"), ("BID", "14"), ("QOD", "3.5"), ("PRN", None)])  # fmt: skip
def test_a_timing_may_be_a_code(tmp_path: Path, code: str, doses: str):
    timed = {"timing": {"code": coded(code, "v3-GTSAbbreviation")}}
    bounded = {"timing": timed["timing"] | {"repeat": {"boundsPeriod": {"start": "2026-02-01"}}}}

    assert only(lines(tmp_path, order(timed))).get("doses_per_week") == doses
    assert only(lines(tmp_path, order(bounded))).get("doses_per_week") == doses


@pytest.mark.parametrize("needed", [{"asNeededBoolean": True}, {"asNeededCodeableConcept": coded("x")}])  # fmt: skip
def test_as_needed_is_no_dose_a_week_and_says_so(tmp_path: Path, needed: Any):
    row = only(lines(tmp_path, order(dosage("1 mg daily", mg=1, **WEEKLY) | needed)))
    assert (row.get("doses_per_week"), row["sig"]) == (None, "1 mg daily (as needed)")

    assert only(lines(tmp_path, order(needed)))["sig"] == "as needed"


@pytest.mark.parametrize(
    ("rate", "dose"),
    [
        ({"doseQuantity": {"value": 0.25, "unit": "mg"}}, "0.25"),
        ({"doseQuantity": {"value": 1, "unit": "milligram", "system": UCUM, "code": "mg"}}, "1"),
        ({"doseQuantity": {"value": 500, "unit": "mcg"}}, "0.500"),
        ({"doseQuantity": {"value": 0.001, "unit": "g"}}, "1"),
        ({"doseQuantity": {"value": 1, "unit": "tablet"}}, None),
        ({"doseQuantity": {"value": 1, "unit": "mg", "comparator": "<"}}, None),
        ({"doseQuantity": {"unit": "mg"}}, None),
        ({"doseRange": {"low": {"value": 0.5, "unit": "mg"}}}, None),
    ],
)
def test_a_dose_is_in_mg_or_left_to_the_sig(tmp_path: Path, rate: Any, dose: str):
    assert only(lines(tmp_path, order({"doseAndRate": [rate]}))).get("dose_mg") == dose


UP_TO_1_MG = {
    "doseRange": {"low": {"value": 0.5, "unit": "mg"}, "high": {"value": 1, "unit": "mg"}}
}


@pytest.mark.parametrize(
    "instruction",
    [
        {"doseAndRate": [UP_TO_1_MG]},
        {"doseAndRate": [{"doseQuantity": {"value": 0.5, "unit": "mg"}}, UP_TO_1_MG]},
        UP_TO_1_MG,
        {"doseAndRate": [{"doseQuantity": {"value": 1, "unit": "mg", "comparator": "<="}}]},
        dosage(mg=1, **WEEKLY, frequencyMax=3),
        dosage(mg=1, **WEEKLY, periodMax=2),
    ],
)
def test_a_dose_that_is_left_open_is_unknown_whatever_the_text_says(
    tmp_path: Path, instruction: Any
):
    timed = {"timing": {"repeat": WEEKLY}}
    row = only(lines(tmp_path, order({"text": "1 mg twice weekly"} | timed | instruction)))

    assert (row["sig"], row.get("doses_per_week")) == ("1 mg twice weekly (up to a maximum)", None)
    assert sig.read(row["sig"]) == sig.Sig(None, None, varies=True)


def test_a_code_that_contradicts_its_timing_gives_no_frequency(tmp_path: Path):
    daily = {"frequency": 1, "period": 1, "periodUnit": "d"}
    for code, doses in (("QD", "7"), ("BID", None)):
        timed = {"timing": {"code": coded(code, "v3-GTSAbbreviation"), "repeat": daily}}
        assert only(lines(tmp_path, order(timed))).get("doses_per_week") == doses


def test_two_rates_that_differ_give_no_dose(tmp_path: Path):
    rates = [{"doseQuantity": {"value": value, "unit": "mg"}} for value in (0.5, 1)]

    assert "dose_mg" not in only(lines(tmp_path, order({"doseAndRate": rates})))


def test_without_a_text_the_sig_says_how_many_tablets(tmp_path: Path):
    half = {"doseAndRate": [{"doseQuantity": {"value": 0.5, "unit": "tablet"}}]}
    timed = half | {"timing": {"code": {"text": "every other day"}}}

    assert only(lines(tmp_path, order(half)))["sig"] == "0.5 tablet"
    assert only(lines(tmp_path, order(timed)))["sig"] == "0.5 tablet every other day"
    assert only(lines(tmp_path, order({"patientInstruction": "1 tab"})))["sig"] == "1 tab"


def test_dosages_side_by_side_add_up_where_the_dose_is_the_same(tmp_path: Path):
    monday, friday = dosage("a", mg=0.5, dayOfWeek=["mon"]), dosage("b", mg=0.5, dayOfWeek=["fri"])

    row = only(lines(tmp_path, order(monday, friday)))
    assert (row["dose_mg"], row["doses_per_week"], row.get("sig")) == ("0.5", "2", None)

    row = only(lines(tmp_path, order(monday, dosage("b", mg=1, dayOfWeek=["fri"]))))
    assert (row.get("dose_mg"), row.get("sig")) == (None, None)
    row = only(lines(tmp_path, order(monday, dosage("b", mg=0.5))))
    assert row.get("doses_per_week") is None
    row = only(lines(tmp_path, order(monday | {"sequence": 1}, friday | {"sequence": 2})))
    assert row.get("doses_per_week") is None


def test_a_taper_is_an_order_for_each_of_its_periods(tmp_path: Path):
    first = dosage(mg=1, **WEEKLY, boundsPeriod={"start": "2026-01-01", "end": "2026-02-01"})
    then = dosage(mg=0.5, **WEEKLY, boundsPeriod={"start": "2026-02-01"})
    file = lines(tmp_path, order(first, then))

    assert [
        (each["order_id"], each["dose_mg"], each["started_on"], each.get("stopped_on"))
        for each in rows(file, "Medication")
    ] == [("o1-1", "1", "2026-01-01", "2026-02-01"), ("o1-2", "0.5", "2026-02-01", None)]
    assert places(file) == [("Medication", 1, 0), ("Medication", 1, 1)]


@pytest.mark.parametrize(
    ("changed", "started", "stopped"),
    [
        ({}, "2026-01-10", None),
        ({"status": "stopped"}, "2026-01-10", "unknown"),
        ({"status": "completed"}, "2026-01-10", "unknown"),
        # The last day of a period is in it.
        ({"status": "stopped", "effectivePeriod": {"start": "2026-01-02", "end": "2026-02-28"}}, "2026-01-02", "2026-03-01"),
        ({"effectivePeriod": {"start": "2026-01-02", "end": "2026-02-03T10:00:00-05:00"}}, "2026-01-02", "2026-02-04"),
        ({"effectivePeriod": {"start": "2026-01-02", "end": "2026-02"}}, "2026-01-02", "2026-02"),
        ({"effectivePeriod": {"start": "2026-01-02", "end": "9999-12-31"}}, "2026-01-02", "9999-12-31"),
        ({"authoredOn": None, "dateAsserted": "2026-01-05"}, "2026-01-05", None),
        ({"authoredOn": None, "effectiveDateTime": "2026-01-05"}, "2026-01-05", None),
        ({"dosageInstruction": [dosage(boundsPeriod={"start": "2026-01-03", "end": "2026-02-02"})]}, "2026-01-03", "2026-02-03"),
        ({"dosageInstruction": [dosage(boundsDuration={"value": 2, "code": "wk", "system": UCUM})]}, "2026-01-10", "2026-01-24"),
        ({"authoredOn": "2026-01", "dosageInstruction": [dosage(boundsDuration={"value": 2, "unit": "wk"})]}, "2026-01", None),
        ({"dosageInstruction": [dosage(boundsDuration={"value": 1e9, "unit": "a"})]}, "2026-01-10", None),
        ({"dosageInstruction": [dosage(boundsPeriod={"end": "2026-02-02"}), dosage()]}, "2026-01-10", None),
    ],
)  # fmt: skip
def test_when_it_began_and_ended(tmp_path: Path, changed: Any, started: str, stopped: str):
    row = only(lines(tmp_path, order(**changed)))

    assert (row["started_on"], row.get("stopped_on")) == (started, stopped)


@pytest.mark.parametrize(
    ("repeat", "doses", "stopped", "end_unknown"),
    [
        ({"count": 1, **DAILY}, None, "2026-01-11", False),
        ({"count": 1}, None, "2026-01-11", False),
        ({"count": 10, **DAILY}, "7", "2026-01-20", False),
        ({"count": 3, **WEEKLY}, "2", "2026-01-21", False),
        ({"count": 10}, None, None, True),
        ({"count": 10, "countMax": 12, **DAILY}, None, None, True),
        ({"boundsDuration": {"value": 8, "code": "wk", "system": UCUM}, **WEEKLY}, "2", "2026-03-07", False),
        ({"boundsDuration": {"value": 8, "unit": "weeks"}, **WEEKLY}, None, None, True),
        ({"boundsDuration": {"value": 8, "code": "wk", "comparator": "<"}, **WEEKLY}, None, None, True),
        ({"boundsDuration": {"unit": "wk"}, **WEEKLY}, None, None, True),
        ({"boundsRange": {"low": {"value": 8, "unit": "wk"}, "high": {"value": 12, "unit": "wk"}}, **WEEKLY}, None, None, True),
        ({"boundsPeriod": {"start": "2026-01-10"}, **WEEKLY}, "2", None, False),
        ({"boundsPeriod": {"start": "2026-01-10", "end": "2026-01-14"}, "count": 10, **DAILY}, "7", "2026-01-15", False),
    ],
)  # fmt: skip
def test_how_long_a_dosage_lasts(
    tmp_path: Path, repeat: Any, doses: str | None, stopped: str | None, end_unknown: bool
):
    row = only(lines(tmp_path, order(dosage(mg=1, **repeat))))

    assert (row.get("doses_per_week"), row.get("stopped_on")) == (doses, stopped)
    # Whether it is still in force is unknown: so is its dose.
    assert (row.get("sig") == "until an unknown day") == end_unknown
    assert sig.read("until an unknown day").varies


def test_an_end_of_the_resource_counts_where_its_dosage_has_a_range(tmp_path: Path):
    bounds = {"boundsRange": {"low": {"value": 8, "unit": "wk"}}}
    ended = order(dosage(mg=1, **bounds, **WEEKLY), effectivePeriod={"end": "2026-02-28"})

    row = only(lines(tmp_path, ended))
    assert (row["doses_per_week"], row["stopped_on"]) == ("2", "2026-03-01")


def test_days_of_the_week_are_kept(tmp_path: Path):
    monday, friday = dosage("a", mg=0.5, dayOfWeek=["mon"]), dosage("b", mg=0.5, dayOfWeek=["fri"])

    assert (
        only(lines(tmp_path, order(dosage(mg=1, dayOfWeek=["thu", "mon"]))))["weekdays"]
        == "mon thu"
    )
    assert only(lines(tmp_path, order(monday, friday)))["weekdays"] == "mon fri"
    assert "weekdays" not in only(lines(tmp_path, order(dosage(mg=1, **WEEKLY))))


def test_a_further_instruction_is_part_of_the_sig(tmp_path: Path):
    more = {"additionalInstruction": [{"text": "as needed"}]}
    row = only(lines(tmp_path, order(dosage("1 mg twice weekly", mg=1, **WEEKLY) | more)))

    assert row["sig"] == "1 mg twice weekly; as needed"


@pytest.mark.parametrize(
    "resource",
    [
        order(dosage(mg=0.5, **WEEKLY, boundsPeriod={"start": "2026-01-02", "end": "2026-02-28"})),
        order()
        | {
            "resourceType": "MedicationStatement",
            "dosageInstruction": None,
            "dosage": [dosage(mg=0.5, **WEEKLY)],
            "effectivePeriod": {"start": "2026-01-02", "end": "2026-02-28"},
        },
    ],
    ids=["MedicationRequest", "MedicationStatement"],
)
def test_the_last_day_of_a_period_is_a_day_on_the_drug(tmp_path: Path, resource: Any):
    lines(tmp_path, resource)
    sources = Sources.from_drop(
        tmp_path, load_feeds(), b"a key of the tests", today=date(2026, 9, 1)
    )

    (spell,) = find_episodes(sources.rows["medications"].cast({pl.Categorical: pl.String})).rows(
        named=True
    )

    assert (spell["started_on"], spell["weekly_dose_mg"]) == (date(2026, 1, 2), 1.0)
    # In force before this day: on the 28th still, on the 1st no longer.
    assert spell["ended_on"] == date(2026, 3, 1)


def test_a_dispensing_has_a_supply_and_its_completion_is_no_end(tmp_path: Path):
    dispense = order() | {
        "resourceType": "MedicationDispense",
        "status": "completed",
        "authoredOn": None,
        "whenHandedOver": "2026-01-11T15:00:00Z",
        "daysSupply": {"value": 90, "unit": "days"},
    }
    supply = {"dispenseRequest": {"expectedSupplyDuration": {"value": 30, "unit": "days"}}}

    row = only(lines(tmp_path, dispense))
    assert (row["started_on"], row["days_supply"]) == ("2026-01-11T15:00:00Z", "90")
    assert "stopped_on" not in row
    weeks = dispense | {"daysSupply": {"value": 4, "unit": "wk"}}
    assert only(lines(tmp_path, weeks))["days_supply"] == "28"
    # Of one that does not say how long it lasts nobody knows when it ended.
    assert only(lines(tmp_path, dispense | {"daysSupply": None}))["days_supply"] == "unknown"
    # An order goes on with the next fill.
    assert "days_supply" not in only(lines(tmp_path, order(**supply)))


def test_a_statement_has_its_dosage_under_another_name(tmp_path: Path):
    statement = order() | {
        "resourceType": "MedicationStatement",
        "dosageInstruction": None,
        "dosage": [dosage(mg=1, **WEEKLY)],
    }

    assert only(lines(tmp_path, statement))["doses_per_week"] == "2"


def test_the_drug_may_stand_in_another_resource(tmp_path: Path):
    drug = {
        "resourceType": "Medication",
        "id": "m1",
        "code": coded("84857", RXNORM) | {"text": "Anastrozole"},
        "ingredient": [
            {"strength": {"numerator": {"value": 1, "unit": "mg"}, "denominator": {"value": 1}}}
        ],
    }
    apart = order(
        medicationCodeableConcept=None,
        medicationReference={"reference": "Medication/m1", "display": "AI"},
    )
    inside = apart | {"medicationReference": {"reference": "#m1"}, "contained": [drug]}
    known = ("Anastrozole", "84857", "1 mg")

    for file in (
        lines(tmp_path, apart, drug),
        bundle(tmp_path, apart, drug),
        lines(tmp_path, inside),
    ):
        row = only(file)
        assert (row["drug"], row["rxnorm"], row["strength"]) == known
    # A broken line is met twice when a drug is looked for, and counted once.
    broken = lines(tmp_path, apart, '{"resourceType": "Medication", "id": ', drug)
    assert only(broken)["drug"] == "Anastrozole"
    assert len(rows(broken, "unreadable")) == 1
    assert len(rows(lines(tmp_path, inside), "other")) == 1
    alone = tmp_path / "alone"
    alone.mkdir()
    assert only(lines(alone, apart))["drug"] == "AI"
    by_url = apart | {"medicationReference": {"reference": "urn:uuid:5"}}
    row = only(bundle(tmp_path, by_url, {"fullUrl": "urn:uuid:5", "resource": drug}))
    assert row["drug"] == "Anastrozole"


@pytest.mark.parametrize("changed", [{"doNotPerform": True}, {"intent": "proposal"}, {"intent": "option"}])  # fmt: skip
def test_what_must_not_be_done_or_is_only_proposed_is_no_order(tmp_path: Path, changed: Any):
    assert only(lines(tmp_path, order(**changed)))["kind"] == "no_order"


@given(
    st.dictionaries(
        st.sampled_from(["frequency", "period", "periodUnit", "dayOfWeek", "timeOfDay", "when"]),
        st.sampled_from(["1", "1e308", "1e-308", "d", "wk", "a", "nan", "-1", ["mon"], ["mon", "tue"], {}]),
    )
)  # fmt: skip
def test_whatever_a_timing_says_it_is_a_number_above_zero_or_unknown(repeat: Any):
    doses = doses_per_week({"repeat": repeat})

    assert doses is None or 0 < doses < float("inf")


def given(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"text": "Testosterone cypionate 200 mg/mL"},
        "effectiveDateTime": "2026-03-01T23:30:00-05:00",
        "dosage": {
            "text": "IM",
            "dose": {"value": 200, "unit": "mg", "system": UCUM, "code": "mg"},
        },
        **more,
    }


def test_an_administration_is_one_dose_on_its_day(tmp_path: Path):
    assert only(lines(tmp_path, given())) == {
        "order_id": "a1",
        "patient_id": "p1",
        "drug": "Testosterone cypionate 200 mg/mL",
        "dose_mg": "200",
        "sig": "IM (one dose only)",
        "started_on": "2026-03-01T23:30:00-05:00",
        "stopped_on": "2026-03-02T23:30:00-05:00",
        "status": "completed",
        "kind": "order",
        "source_line": 1,
        "source_part": 0,
    }


@pytest.mark.parametrize(
    ("period", "stopped_on"),
    [
        ({"start": "2026-03-01", "end": "2026-03-01"}, "2026-03-02"),
        ({"start": "2026-03-01", "end": "2026-03-03"}, "2026-03-04"),
        ({"start": "2026-03-01"}, "2026-03-02"),
    ],
)
def test_an_administration_over_a_period_ends_after_its_last_day(
    tmp_path: Path, period: dict[str, str], stopped_on: str
):
    row = only(lines(tmp_path, given(effectiveDateTime=None, effectivePeriod=period)))

    assert (row["started_on"], row["stopped_on"]) == ("2026-03-01", stopped_on)


def test_a_dose_in_millilitres_is_unknown(tmp_path: Path):
    row = only(lines(tmp_path, given(dosage={"dose": {"value": 1, "unit": "mL"}})))

    assert "dose_mg" not in row
    assert row["sig"] == "(one dose only)"


@pytest.mark.parametrize(
    "changed", [{"status": "on-hold"}, {"modifierExtension": [{"url": "https://clinic.example/x"}]}]
)
def test_of_an_order_on_hold_or_modified_nobody_knows_the_dose(
    tmp_path: Path, changed: dict[str, Any]
):
    held = only(
        lines(
            tmp_path,
            order(dosage("1 mg daily", mg=1, frequency=1, period=1, periodUnit="d"), **changed),
        )
    )

    assert (held.get("doses_per_week"), held["sig"]) == (None, "1 mg daily (until an unknown day)")


def test_a_word_that_is_no_day_of_fhir_leaves_the_frequency_open(tmp_path: Path):
    assert (
        only(lines(tmp_path, order(dosage(mg=1, dayOfWeek=["monday"])))).get("doses_per_week")
        is None
    )
