"""Treated: who was on an inhibitor at a draw, and of whom nobody knows."""

from datetime import date

import polars as pl

from e2analytics.ingest.unit_errors import on_treatment
from e2analytics.settings import FlagSettings
from e2analytics.tables.categoricals import to_categories

# The clinic in the north sends its orders, the first of March; of the south nobody knows any.
CLINICS = pl.DataFrame(
    {"patient_id": ["on", "off", "never", "south"], "clinic_id": ["north"] * 3 + ["south"]}
)
SPELLS = pl.DataFrame(
    [
        ("on", date(2026, 3, 1), None),
        ("off", date(2026, 4, 1), date(2026, 6, 1)),
        ("off", date(2026, 6, 1), date(2026, 8, 1)),  # another dose
    ],
    schema={"patient_id": pl.String, "started_on": pl.Date, "ended_on": pl.Date},
    orient="row",
)


def test_a_draw_is_on_the_drug_off_it_or_nobody_knows():
    table = [
        ("on", "estradiol", date(2026, 2, 1), None),  # before the clinic's first order
        ("on", "estradiol", date(2026, 3, 14), None),  # not yet steady
        ("on", "estradiol", date(2026, 3, 15), True),
        ("on", "testosterone_total", date(2026, 3, 15), None),
        ("off", "estradiol", date(2026, 3, 31), False),
        ("off", "estradiol", date(2026, 5, 31), True),
        ("off", "estradiol", date(2026, 6, 10), None),  # the dose has changed
        ("off", "estradiol", date(2026, 7, 1), True),
        ("off", "estradiol", date(2026, 8, 1), None),  # washing out
        ("off", "estradiol", date(2026, 8, 15), False),
        ("never", "estradiol", date(2026, 3, 1), False),
        ("south", "estradiol", date(2026, 5, 1), None),
        ("nobody's", "estradiol", date(2026, 5, 1), None),
    ]
    draws = pl.DataFrame(
        table, schema=["patient_id", "analyte", "collected_on", "on"], orient="row"
    )

    told = on_treatment.on_drug(to_categories(draws.drop("on")), SPELLS, CLINICS, FlagSettings())

    assert told.to_list() == draws["on"].to_list()


def test_without_any_order_nobody_knows():
    draws = pl.DataFrame(
        {"patient_id": ["on"], "analyte": ["estradiol"], "collected_on": [date(2026, 5, 1)]}
    )

    told = on_treatment.on_drug(to_categories(draws), SPELLS.clear(), CLINICS, FlagSettings())

    assert told.to_list() == [None]
