"""Damage anywhere in any export: the rest comes in, nobody crashes, and the fates add up."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2analytics.feeds.description import Feed, load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.reference.simulation_marker import MARKER_NAME
from e2analytics.run import run
from e2analytics.simulate import SimulationSettings, simulate
from e2analytics.simulate.exports import FORMATS, write_exports
from e2analytics.tables.vocabulary import FATES
from tests.conftest import AS_OF, KEY, QUICK

DAMAGE = st.one_of(
    st.binary(min_size=1, max_size=6),
    st.sampled_from(
        [b"\0", b'"', b"\n", b"\r", b"\xff\xfe", b"|", b"^", b"{", b"}]", b"=1+1", b"-9"]
    ),
)


@pytest.fixture(scope="module")
def feeds() -> tuple[Feed, ...]:
    return load_feeds()


@pytest.fixture(scope="module")
def export_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Three men in a format, written once."""
    cohort = tmp_path_factory.mktemp("cohort")
    simulate(cohort, SimulationSettings(patients=100, seed=7, defects=False))
    men = pl.read_csv(cohort / "drop" / "patients.csv")["patient_id"].head(3).to_list()
    for table in (cohort / "drop").glob("*.csv"):
        rows = pl.read_csv(table, infer_schema=False)
        if "patient_id" in rows.columns:
            rows.filter(pl.col("patient_id").is_in(men)).write_csv(table)
    return cache(
        lambda name: write_exports(tmp_path_factory.mktemp(name), cohort / "drop", [name])[0]
    )


def check(
    damaged: tuple[int, float, bytes, bool], exported: Path, feeds: tuple[Feed, ...], drop: Path
) -> None:
    """Damage one file of an export, take the export in, and see that it adds up."""
    which, place, damage, cut = damaged
    files = sorted(file for file in exported.iterdir() if file.name != MARKER_NAME)
    for file in files:
        content = file.read_bytes()
        if file == files[which % len(files)]:
            at = int(place * len(content))
            content = content[:at] + damage + (b"" if cut else content[at + len(damage) :])
        (drop / file.name).write_bytes(content)

    sources = Sources.from_drop(drop, feeds, KEY, settings=QUICK, today=AS_OF)
    ledger = run(sources, QUICK, as_of=AS_OF, scope="ingest").tables["files"]

    assert ledger.filter(pl.col("rows_read") != pl.sum_horizontal(FATES)).is_empty()
    told = {file.path.name for file in sources.files} | {path.name for path in sources.unmatched}
    assert told == {file.name for file in files}


DAMAGED = st.tuples(st.integers(0, 9), st.floats(0, 1), DAMAGE, st.booleans())
NOT_PER_EXAMPLE = [HealthCheck.function_scoped_fixture]


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=2, suppress_health_check=NOT_PER_EXAMPLE)
@given(damaged=DAMAGED)
def test_damage_anywhere_loses_nothing_but_what_is_told(
    name: str,
    damaged: tuple[int, float, bytes, bool],
    export_of: Callable[[str], Path],
    feeds: tuple[Feed, ...],
    tmp_path: Path,
):
    check(damaged, export_of(name), feeds, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, suppress_health_check=NOT_PER_EXAMPLE)
@given(damaged=DAMAGED)
def test_damage_anywhere_loses_nothing_but_what_is_told_however_often(
    name: str,
    damaged: tuple[int, float, bytes, bool],
    export_of: Callable[[str], Path],
    feeds: tuple[Feed, ...],
    tmp_path: Path,
):
    check(damaged, export_of(name), feeds, tmp_path)
