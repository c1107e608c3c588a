"""Abrupt shifts of scanners in a clinic's scans: found, kept from pairs, released."""

import tomllib
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from e2analytics.exposure.scan_pairs import pair_scans
from e2analytics.exposure.scanner_shifts import find_shifts
from e2analytics.settings import LinkSettings, ShiftRelease
from e2analytics.tables.check import check
from e2analytics.tables.registry import TABLES
from e2analytics.tables.snapshot import empty_table

N_MEN = 20
PATIENTS = pl.DataFrame({"patient_id": [f"p{man}" for man in range(N_MEN)], "clinic_id": "c1"})
SITES = {"lumbar_spine": "L1-L4", "total_hip": None}
FIRST_DAY = date(2020, 1, 1)
SHIFTED_ON = date(2023, 1, 1)


def scans(
    step_pct: float, *, makers: tuple[str | None, str | None] = (None, None), seed: int = 1
) -> pl.DataFrame:
    """Scans of every man about every 14 months, on one scanner whose readings step on a day."""
    rng = np.random.default_rng(seed)
    rows = []
    for man in range(N_MEN):
        on = FIRST_DAY + timedelta(days=int(rng.integers(0, 400)))
        for place in range(4):
            late = on >= SHIFTED_ON
            for site, vertebrae in SITES.items():
                log_bmd = 0.001 * man + rng.normal(0, 0.012) + late * step_pct / 100
                rows.append(
                    {
                        "patient_id": f"p{man}",
                        "site": site,
                        "scan_id": f"s{man}-{place}",
                        "scanned_on": on,
                        "bmd_g_cm2": float(np.exp(log_bmd)),
                        "scanner_id": "A",
                        "manufacturer": makers[late],
                        "vertebrae": vertebrae,
                        "side": None,
                        "imputed": "",
                        "failed_rules": "",
                    }
                )
            on += timedelta(days=int(rng.integers(380, 480)))
    return pl.DataFrame(
        rows, schema_overrides=dict.fromkeys(("manufacturer", "vertebrae", "side"), pl.String)
    )


def shifts_of(dxa: pl.DataFrame, **settings: object) -> pl.DataFrame:
    return find_shifts(dxa, PATIENTS, LinkSettings.model_validate(settings))


def reasons(dxa: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Return which pairs lie across the day, with why they are not compared."""
    pairs = pair_scans(dxa, PATIENTS, empty_table("precision"), LinkSettings(), shifts)
    across = (pl.col("scanned_on") < SHIFTED_ON) & (pl.col("scanned_on_2") >= SHIFTED_ON)
    return pairs.select("why_not", across=across)


@pytest.mark.parametrize("makers", [(None, None), ("Hologic", "Hologic"), ("Hologic", None)])
def test_a_shift_without_a_change_of_maker_is_found_and_its_pairs_are_not_compared(
    makers: tuple[str | None, str | None],
):
    dxa = scans(6.0, makers=makers)

    shifts = check(shifts_of(dxa), TABLES["scanner_shifts"], table="scanner_shifts", stage="run")

    found = shifts.row(0, named=True)
    assert len(shifts) == 1
    assert (found["clinic_id"], found["scanner_id"], found["maker"]) == ("c1", "A", makers[0])
    assert found["sites"] == "lumbar_spine total_hip"
    assert found["step_ci_low_pct"] < 6 < found["step_ci_high_pct"]
    assert found["action"] == "not_paired"
    pairs = reasons(dxa, shifts)
    assert set(pairs.filter("across")["why_not"]) == {"scanner_shifted"}
    assert None in pairs.filter(~pl.col("across"))["why_not"].to_list()


@pytest.mark.parametrize("step_pct", [0.0, 0.5])
def test_readings_that_do_not_step_are_compared(step_pct: float):
    dxa = scans(step_pct)

    shifts = shifts_of(dxa)

    assert shifts.is_empty()
    assert set(reasons(dxa, shifts)["why_not"]) == {None}


def test_a_change_of_maker_is_no_shift_as_its_scans_are_of_two_scanners():
    dxa = scans(-12.0, makers=("GE Lunar", "Hologic"))

    shifts = shifts_of(dxa)

    assert shifts.is_empty()
    assert set(reasons(dxa, shifts).filter("across")["why_not"]) == {"scanner_changed"}


def test_a_released_shift_stays_listed_and_its_pairs_are_compared():
    dxa = scans(6.0)
    found = shifts_of(dxa).row(0, named=True)
    release = ShiftRelease(
        clinic_id="c1", scanner_id="A", first_on=found["first_on"], last_on=found["last_on"]
    )

    shifts = shifts_of(dxa, shifts_released=(release,))

    assert shifts["action"].to_list() == ["released"]
    assert set(reasons(dxa, shifts)["why_not"]) == {None}


@pytest.mark.parametrize(
    "other",
    [
        {"clinic_id": "c2"},
        {"scanner_id": "B"},
        {"first_on": date(2025, 1, 1), "last_on": date(2025, 6, 1)},
    ],
)
def test_a_release_of_another_shift_releases_nothing(other: dict[str, object]):
    release = {
        "clinic_id": "c1",
        "scanner_id": "A",
        "first_on": date(2022, 1, 1),
        "last_on": date(2023, 12, 31),
    }

    shifts = shifts_of(scans(6.0), shifts_released=({**release, **other},))

    assert shifts["action"].to_list() == ["not_paired"]


def test_the_line_that_releases_a_shift_is_configuration():
    dxa = scans(6.0)
    line = shifts_of(dxa)["release_line"][0]

    assert shifts_of(dxa, **tomllib.loads(line)["link"])["action"].to_list() == ["released"]


def test_no_scan_and_one_scan_show_no_shift():
    assert shifts_of(scans(6.0).clear()).is_empty()
    assert shifts_of(scans(6.0).head(1)).is_empty()
