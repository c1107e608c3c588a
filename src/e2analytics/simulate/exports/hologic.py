"""Scans of the Hologic scanners as tables of their database: `schemas/feeds/hologic_apex.yaml`.

A hip scan holds the total hip and the neck: the neck's row takes its scan's number, which becomes the
scanner's and the scan's. Area and BMC are not simulated, and every vertebra has the BMD of all. A
database knows no scan twice, and no neck without its hip: such lines are not carried.
"""

from pathlib import Path

import polars as pl

from e2analytics.simulate.exports.tables import Tables, others

MAKER = "Hologic"
SPINE_TYPE, LEFT_HIP_TYPE, RIGHT_HIP_TYPE, WHOLE_BODY_TYPE = "1", "2", "3", "5"
VERTEBRAE = (1, 2, 3, 4)
_LINE = "line"


def write(folder: Path, tables: Tables) -> Tables:
    """Write the scans of this maker; return what is not carried."""
    lines = tables["dxa"].with_row_index(_LINE)
    visit = ["PATIENT_KEY", "scanned_on", "scanner_id"]
    scans = (
        lines.with_columns(PATIENT_KEY="KEY-" + pl.col("patient_id"))
        .filter(pl.col("manufacturer") == MAKER)
        .unique([*visit, "site"], keep="first", maintain_order=True)
    )
    spines, hips, necks, bodies = (
        scans.filter(pl.col("site") == site)
        for site in ("lumbar_spine", "total_hip", "femoral_neck", "total_body")
    )
    hips = hips.join(necks, on=visit, suffix="_neck", maintain_order="left", validate="1:1")
    _save(folder, "patients", _patients(tables["patients"]))
    _save(folder, "scan_analyses", _analyses(spines, hips, bodies))
    _save(folder, "spines", _spines(spines))
    hip_columns = {"HTOT_BMD": "bmd_g_cm2", "NECK_BMD": "bmd_g_cm2_neck"}
    _save(folder, "hips", _of_scans(hips, **hip_columns))
    _save(folder, "w_bodies", _of_scans(bodies, WBTOT_BMD="bmd_g_cm2"))
    _save(folder, "w_body_compositions", _of_scans(bodies, WBTOT_PFAT="body_fat_pct"))
    _save(
        folder,
        "referenceresults",
        pl.concat(
            [
                _reference(spines, "S", "1234"),
                _reference(hips, "H", "123."),
                _reference(hips, "H", "1...", suffix="_neck"),
            ]
        ),
    )
    of_necks = hips.select(pl.col(f"{_LINE}_neck").alias(_LINE))
    carried = pl.concat([*(rows.select(_LINE) for rows in (spines, hips, bodies)), of_necks])
    left = lines.join(carried, on=_LINE, how="anti", maintain_order="left").drop(_LINE)
    return {**others(tables, "dxa"), "dxa": left}


def _save(folder: Path, name: str, table: pl.DataFrame) -> None:
    table.write_csv(folder / f"apex_{name}.csv")


def _midnight(name: str) -> pl.Expr:
    return pl.col(name) + " 00:00:00"


def _patients(patients: pl.DataFrame) -> pl.DataFrame:
    return patients.select(
        PATIENT_KEY="KEY-" + pl.col("patient_id"),
        LAST_NAME=pl.lit("Simulated"),
        FIRST_NAME=pl.lit("Patient"),
        IDENTIFIER1="patient_id",
        BIRTHDATE=_midnight("birth_date"),
        SEX="sex",
        WEIGHT="weight_kg",
        HEIGHT="height_cm",
        PHANTOM_ID=pl.lit(None, pl.String),
    )


def _analyses(spines: pl.DataFrame, hips: pl.DataFrame, bodies: pl.DataFrame) -> pl.DataFrame:
    hip_type = (
        pl.when(pl.col("side") == "left")
        .then(pl.lit(LEFT_HIP_TYPE))
        .otherwise(pl.lit(RIGHT_HIP_TYPE))
    )
    typed = (
        (spines, pl.lit(SPINE_TYPE)),
        (hips, hip_type),
        (bodies, pl.lit(WHOLE_BODY_TYPE)),
    )
    return pl.concat(
        _of_scans(rows.with_columns(type=scan_type), SCAN_DATE="scanned_on", SCAN_TYPE="type")
        for rows, scan_type in typed
    ).with_columns(_midnight("SCAN_DATE"))


def _of_scans(rows: pl.DataFrame, **columns: str) -> pl.DataFrame:
    return rows.select("PATIENT_KEY", SCANID="scan_id", SERIAL_NUMBER="scanner_id", **columns)


def _spines(spines: pl.DataFrame) -> pl.DataFrame:
    included = {f"L{number}_INCLUDED": pl.lit("1") for number in VERTEBRAE}
    densities = {f"L{number}_BMD": pl.col("bmd_g_cm2") for number in VERTEBRAE}
    return spines.select(
        "PATIENT_KEY",
        SCANID="scan_id",
        SERIAL_NUMBER="scanner_id",
        **included,
        **densities,
        TOT_BMD="bmd_g_cm2",
    )


def _reference(
    rows: pl.DataFrame, ref_type: str, bone_range: str, *, suffix: str = ""
) -> pl.DataFrame:
    return rows.select(
        "PATIENT_KEY",
        SCANID="scan_id",
        SERIAL_NUMBER="scanner_id",
        REF_TYPE=pl.lit(ref_type),
        BONERANGE=pl.lit(bone_range),
        T_SCORE=f"t_score{suffix}",
        Z_SCORE=f"z_score{suffix}",
        TITLE=f"reference_db{suffix}",
    )
