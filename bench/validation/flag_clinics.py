"""Clinics for the validation of flags: simulated, spoiled as asked, and read as a run reads them.

In    a clinic: shape of the truth, noise of a draw, what its data lack
Out   its sources, and the truth of its men; the men on the drug with what a run says of them
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Final, Literal, NamedTuple
from unittest.mock import patch

import numpy as np
import polars as pl

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.pseudonyms import pseudonym
from e2analytics.ingest.read_drop import Sources
from e2analytics.run import run
from e2analytics.settings import FitSettings, Settings
from e2analytics.simulate import Shape, SimulationSettings, simulate
from e2analytics.simulate import parameters as world

N_MEN: Final = 4_000
AS_OF: Final = date(2026, 9, 30)
NOISE: Final = (world.E2_WITHIN_SD, 0.30)
_KEY: Final = b"the key of the validation, long enough"
_LAST: Final = 1e3  # pg/mL: stands for an open end
_BY_IMMUNOASSAY: Final = ((0.0, 0.0, 0.5, 0.5),)
DataGap = Literal["none", "sparse", "immunoassay only", "no off-drug draws", "half not taken"]


class Clinic(NamedTuple):
    """One simulated clinic."""

    shape: Shape
    noise: float
    poor: DataGap
    seed: int
    n_men: int = N_MEN


def judge(clinic: Clinic) -> pl.DataFrame:
    """Return every man on the drug with what the run says of him and what is true."""
    with tempfile.TemporaryDirectory() as folder:
        sources, truth = sources_and_truth(clinic, Path(folder))
    outputs = run(sources, Settings(fit=FitSettings(n_replicates=100)), as_of=AS_OF)
    men = outputs.tables["cohort"].join(truth, on="patient_id")
    limit = pl.col("lower_limit_pg_ml")
    return men.select(
        "status",
        "tier",
        "reasons",
        "p_attributable",
        "p_below_range",
        "assay",
        limit,
        shape=pl.lit(clinic.shape),
        noise=pl.lit(clinic.noise),
        poor=pl.lit(clinic.poor),
        seed=pl.lit(clinic.seed),
        last=pl.coalesce("last_e2_high_pg_ml", pl.lit(_LAST)),
        low=pl.col("e2_now_pg_ml") < limit,
        pushed=(pl.col("e2_now_pg_ml") < limit) & (pl.col("e2_off_drug_pg_ml") >= limit),
    )


def sources_and_truth(clinic: Clinic, folder: Path) -> tuple[Sources, pl.DataFrame]:
    """Write a clinic's files, spoil them as asked, read them as a run does; with the men's truth."""
    settings = SimulationSettings(patients=clinic.n_men, shape=clinic.shape, seed=clinic.seed)
    by_ia = clinic.poor == "immunoassay only"
    shares = _BY_IMMUNOASSAY if by_ia else world.LABORATORY_SHARES
    with (
        patch.object(world, "E2_WITHIN_SD", clinic.noise),
        patch.object(world, "LABORATORY_SHARES", shares),
    ):
        simulate(folder, settings)
    _remove_data(folder / "drop", clinic)
    sources = Sources.from_drop(folder / "drop", load_feeds(), _KEY, today=AS_OF)
    truth = pl.read_csv(folder / "truth" / "men.csv").filter("in_care", "on_drug")
    named = pl.col("patient_id").map_elements(
        lambda identifier: pseudonym(_KEY, "default", identifier), return_dtype=pl.String
    )
    return sources, truth.select(named, "e2_now_pg_ml", "e2_off_drug_pg_ml")


def _remove_data(drop: Path, clinic: Clinic) -> None:
    """Take away from a drop what poor data lack."""
    labs, orders = (
        pl.read_csv(drop / f"{name}.csv", infer_schema=False) for name in ("labs", "medications")
    )
    rng = np.random.default_rng(clinic.seed)
    day = pl.col("collected_at").str.slice(0, 10)
    match clinic.poor:
        case "sparse":
            # Of every man one or two days of draws, at random.
            kept = labs.select("patient_id", day=day).unique(maintain_order=True)
            order = pl.Series(rng.random(len(kept)))
            most = pl.Series(rng.integers(1, 3, len(kept)))
            kept = kept.with_columns(order=order, most=most).filter(
                pl.col("order").rank().over("patient_id")
                <= pl.col("most").first().over("patient_id")
            )
            labs = labs.with_columns(day=day).join(kept, on=["patient_id", "day"], how="semi")
            labs = labs.drop("day")
        case "no off-drug draws":
            anastrozole = pl.col("drug").str.to_lowercase().str.contains("anastrozole")
            first = (
                orders.filter(anastrozole).group_by("patient_id").agg(pl.col("started_on").min())
            )
            labs = labs.join(first, on="patient_id", how="left").filter(
                pl.col("started_on").is_null() | (day >= pl.col("started_on"))
            )
            labs = labs.drop("started_on")
        case "half not taken":
            # A quarter of the men take half of what they are ordered: orders say twice the dose.
            men = orders["patient_id"].unique(maintain_order=True)
            half = men.filter(pl.Series(rng.random(len(men)) < 0.25)).to_list()
            anastrozole = pl.col("drug").str.to_lowercase().str.contains("anastrozole")
            twice = (pl.col("dose_mg").cast(pl.Float64) * 2).cast(pl.String)
            doubled = anastrozole & pl.col("patient_id").is_in(half)
            orders = orders.with_columns(
                dose_mg=pl.when(doubled).then(twice).otherwise("dose_mg"),
                sig=pl.when(~doubled).then("sig"),
            )
    labs.write_csv(drop / "labs.csv")
    orders.write_csv(drop / "medications.csv")
