import polars as pl
import pytest

from e2analytics.simulate import parameters as world

LOQ_TEXT = {laboratory.code: laboratory.loq_text for laboratory in world.LABORATORIES}
IS_MS = [laboratory.code for laboratory in world.LABORATORIES if laboratory.is_ms]
IS_E2 = pl.col("test_name").str.starts_with("Estradiol")


@pytest.fixture(scope="module")
def e2(clean) -> pl.DataFrame:
    """E2 results with the number in pg/mL; null where censored."""
    number = pl.col("value").cast(pl.Float64, strict=False)
    factor = pl.when(pl.col("unit") == "pmol/L").then(1 / world.PMOL_L_PER_PG_ML).otherwise(1.0)
    return clean["labs.csv"].filter(IS_E2).with_columns(pg_ml=number * factor)


def test_every_laboratory_reports_in_its_own_unit_with_its_own_code_and_limit(e2):
    ways = e2.group_by("performing_lab").agg(pl.col("unit", "loinc").unique().sort())

    assert ways.sort("performing_lab").rows() == [
        ("LAB-A", ["pg/mL"], ["35384-7"]),
        ("LAB-B", ["pmol/L"], ["72873-3"]),
        ("LAB-C", ["pg/mL"], ["2243-4"]),
        ("LAB-D", ["pg/mL"], ["83096-8"]),
    ]
    censored = e2.filter(pl.col("pg_ml").is_null())
    assert censored["value"].to_list() == [LOQ_TEXT[lab] for lab in censored["performing_lab"]]
    assert e2.group_by("performing_lab").agg(pl.col("pg_ml").min()).sort("performing_lab")[
        "pg_ml"
    ].to_list() == pytest.approx([2, 5, 24, 15], abs=1.5)


def test_mass_spectrometry_reads_true_and_immunoassay_reads_high(e2, men, clean):
    treated = clean["medications.csv"].filter(pl.col("drug").is_in(["anastrozole", "letrozole"]))
    never = men.join(treated, on="patient_id", how="anti")
    beside = e2.join(never.select("patient_id", "e2_off_drug_pg_ml"), on="patient_id")
    ratio = (pl.col("pg_ml") / pl.col("e2_off_drug_pg_ml")).median()
    by_method = beside.group_by(ms=pl.col("performing_lab").is_in(IS_MS)).agg(ratio=ratio)
    ratios = dict(by_method.iter_rows())

    assert ratios[True] == pytest.approx(1.0, abs=0.03)
    assert 1.1 < ratios[False] < 1.35


def test_one_draw_by_mass_spectrometry_is_as_reliable_as_assumed(e2, clean):
    treated = clean["medications.csv"].filter(pl.col("drug").is_in(["anastrozole", "letrozole"]))
    never = e2.join(treated, on="patient_id", how="anti").filter(
        pl.col("performing_lab").is_in(IS_MS)
    )
    logs = never.drop_nulls("pg_ml").select("patient_id", x=pl.col("pg_ml").log())
    per_man = logs.group_by("patient_id").agg(
        pl.col("x").mean().alias("mean"), pl.col("x").var().alias("variance")
    )

    within = per_man["variance"].mean()
    reliability = 1 - within / (per_man["mean"].var() + within)

    assert reliability == pytest.approx(0.77, abs=0.06)


def test_results_are_reported_after_they_were_collected_and_before_the_record_ends(clean):
    labs = clean["labs.csv"]

    assert labs.filter(pl.col("reported_at") <= pl.col("collected_at")).is_empty()
    assert labs["reported_at"].max() < "2026-10-01"
    hour = labs["collected_at"].str.slice(11, 2).cast(pl.Int32)
    assert (hour.min(), hour.max()) == (7, 11)


def test_men_are_drawn_every_few_months_and_soon_after_a_change(e2, clean):
    draws = e2.group_by("patient_id").len()["len"]
    assert 8 < draws.mean() < 15

    starts = (
        clean["medications.csv"]
        .filter(pl.col("drug") == "anastrozole")
        .group_by("patient_id")
        .agg(pl.col("started_on").min())
    )
    starts = starts.filter(
        pl.col("started_on").is_between(pl.lit("2022-01-01"), pl.lit("2026-05-01"))
    )
    days = e2.join(starts, on="patient_id").select(
        "patient_id",
        after=(
            pl.col("collected_at").str.head(10).str.to_date() - pl.col("started_on").str.to_date()
        ).dt.total_days(),
    )
    checked = days.filter(pl.col("after").is_between(14, 84))["patient_id"].n_unique()
    assert checked / len(starts) > 0.8


def test_immunoassay_has_an_upper_limit_for_testosterone_and_methods_are_sometimes_missing(clean):
    labs = clean["labs.csv"]
    testosterone = labs.filter(pl.col("test_name").str.starts_with("Testosterone"))

    above = testosterone.filter(pl.col("value").str.starts_with(">"))
    assert set(above["value"]) <= {">1500", ">3000"}
    assert set(above.filter(pl.col("value") == ">1500")["performing_lab"]) == {"LAB-C", "LAB-D"}
    assert 0.05 < testosterone["method"].is_null().mean() < 0.2
