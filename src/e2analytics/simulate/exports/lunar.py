"""Scans of the GE Lunar scanners as their export: `schemas/feeds/lunar_like.yaml`.

UTF-16 LE with a byte order mark, tab-delimited, a line a region. Nothing of the canonical tables is lost.
"""

import codecs
from pathlib import Path

import polars as pl

from e2analytics.simulate.exports.tables import US_DAY, Tables, dated, others, with_people

MAKER = "GE Lunar"
SCAN_TYPES = {
    "lumbar_spine": "AP Spine",
    "total_hip": "Femur",
    "femoral_neck": "Femur",
    "total_body": "Total Body",
}
REGIONS = {"total_hip": "Total", "femoral_neck": "Neck", "total_body": "Total"}


def write(folder: Path, tables: Tables) -> Tables:
    """Write the scans of this maker; return what is not carried."""
    is_lunar = pl.col("manufacturer") == MAKER
    rows = with_people(
        tables["dxa"].filter(is_lunar),
        tables,
        "clinic_id",
        "sex",
        "birth_date",
        "height_cm",
        "weight_kg",
    )
    text = rows.select(
        pl.col("patient_id").alias("Patient ID"),
        pl.lit("Simulated").alias("Last Name"),
        pl.lit("Patient").alias("First Name"),
        dated("birth_date", US_DAY).alias("Birth Date"),
        pl.col("sex").replace({"M": "Male", "F": "Female"}).alias("Sex"),
        pl.col("height_cm").alias("Height (cm)"),
        pl.col("weight_kg").alias("Weight (kg)"),
        pl.col("clinic_id").alias("Facility"),
        pl.col("scanner_id").alias("System Number"),
        pl.col("scan_id").alias("Scan ID"),
        dated("scanned_on", US_DAY).alias("Scan Date"),
        pl.col("site").replace(SCAN_TYPES).alias("Scan Type"),
        pl.col("side").replace({"left": "Left", "right": "Right"}).alias("Side"),
        pl.coalesce("vertebrae", pl.col("site").replace(REGIONS)).alias("Region"),
        pl.col("bmd_g_cm2").alias("BMD (g/cm2)"),
        pl.col("t_score").alias("T-score"),
        pl.col("z_score").alias("Z-score"),
        pl.col("body_fat_pct").alias("Tissue (%Fat)"),
        pl.col("reference_db").alias("Reference Population"),
    ).write_csv(separator="\t", line_terminator="\r\n")
    (folder / "lunar_scans.txt").write_bytes(codecs.BOM_UTF16_LE + text.encode("utf-16-le"))
    return {**others(tables, "dxa"), "dxa": tables["dxa"].remove(is_lunar)}
