"""Cuts the drops of three nights out of a simulated cohort: ``cut_drops.py COHORT/drop DROPS``.

50 men, and of their laboratory results those of estradiol, testosterone and of tests without a rule. The
second night brings corrected and cancelled results, and two men whose rows came before them; the third
night is left for the code under test.
"""

import shutil
import sys
from pathlib import Path

import polars as pl

MEN = 50
NIGHTS = (("", "2026-08-31"), ("2026-08-31", "2026-09-15"), ("2026-09-15", "9999"))
DAY = {
    "labs": "reported_at",
    "dxa": "scanned_on",
    "medications": "started_on",
    "events": "occurred_on",
}


def cut(tables: dict[str, pl.DataFrame], night: int) -> dict[str, pl.DataFrame]:
    """Return the tables of one night's drop."""
    after, until = NIGHTS[night - 1]
    chosen = tables["patients"]["patient_id"].unique().sort().head(MEN)
    of_chosen = {
        name: rows.filter(pl.col("patient_id").is_in(chosen.implode()))
        for name, rows in tables.items()
        if name != "precision"
    }
    drop = {
        name: of_chosen[name].filter(_on(day).is_between(pl.lit(after), pl.lit(until), "right"))
        for name, day in DAY.items()
    }
    corrects = pl.col("status").is_in(["C", "X"])
    drop["labs"] = drop["labs"].filter(~corrects)
    late = pl.col("patient_id").is_in(chosen.tail(2).implode())
    if night == 1:
        drop["patients"] = of_chosen["patients"].filter(~late)
        drop["precision"] = tables["precision"]
    if night == 2:
        drop["patients"] = of_chosen["patients"].filter(late)
        corrections = of_chosen["labs"].filter(corrects & (_on(DAY["labs"]) <= until))
        drop["labs"] = pl.concat([drop["labs"], corrections])
    return {name: rows for name, rows in drop.items() if len(rows)}


def _on(column: str) -> pl.Expr:
    return pl.col(column).str.head(10).fill_null("0")


def main(cohort: Path, drops: Path) -> None:
    """Write the drops of all nights."""
    tables = {
        file.stem: pl.read_csv(file, infer_schema=False) for file in sorted(cohort.glob("*.csv"))
    }
    kept = pl.col("test_name").str.contains("(?i)estradiol|testosterone|local|glucose")
    tables["labs"] = tables["labs"].filter(kept)
    for night in range(1, len(NIGHTS) + 1):
        folder = drops / str(night)
        folder.mkdir(parents=True)
        for name, rows in cut(tables, night).items():
            rows.write_csv(folder / f"{name}.csv")
        shutil.copy(cohort / "SIMULATED.json", folder)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
