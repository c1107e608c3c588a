"""One cohort in every format: each gives the same tables, row for row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.feeds.description import Feed, load_feeds
from e2analytics.feeds.drop import recognise
from e2analytics.ingest.read_drop import Sources
from e2analytics.reference.simulation_marker import MARKER_NAME
from e2analytics.run import run
from e2analytics.simulate import SimulationSettings, simulate
from e2analytics.simulate.exports import FORMATS, write_exports
from e2analytics.tables.snapshot import Outputs
from tests.conftest import AS_OF, KEY, QUICK

KEYS = {
    "patients": ["patient_id"],
    "labs": ["result_id"],
    "dxa": ["scan_id", "site"],
    "medications": ["order_id"],
    "events": ["event_id"],
    "precision": ["scanner_id", "site"],
}
PROVENANCE = {"source_file", "source_line", "source_part", "source_order"}
"""Where a row stood in which file: another file in every format. All other columns are compared."""
FEED_OF = {
    "excel": "canonical_excel",
    "parquet": "canonical_parquet",
    "hl7v2": "hl7_oru",
    "fhir": "fhir_r4",
}
"""The shipped feed of a format; of the others it has the format's name."""
WITHOUT_CODE = pl.col("result_id").str.replace("-.*$", "")


@dataclass(frozen=True)
class Known:
    """What is known to differ, and why.

    Attributes
    ----------
    lost : dict of str to list of str
        Columns that the format cannot carry.
    ids : dict of str to expr
        How an id of the format becomes the canonical one.
    as_canonical : dict of str to expr
        Columns of the canonical table as the format can say them.
    defects : bool
        The format can carry the planted defects.
    files : set of str
        What is written, without what lies beside it as canonical CSV.
    """

    files: set[str]
    lost: dict[str, list[str]] = field(default_factory=dict)
    ids: dict[str, pl.Expr] = field(default_factory=dict)
    as_canonical: dict[str, pl.Expr] = field(default_factory=dict)
    defects: bool = True


KNOWN = {
    "excel": Known({"clinic.xlsx"}),
    "parquet": Known({f"{name}.parquet" for name in KEYS}),
    "european_csv": Known(
        {
            "stammdaten.csv",
            "laborwerte.csv",
            "knochendichte.csv",
            "verordnungen.csv",
            "ereignisse.csv",
            "messgenauigkeit.csv",
        }
    ),
    # A specimen gives many results: a result is named by its specimen's number and its code.
    "hl7v2": Known({"laboratory_results.hl7"}, ids={"labs": WITHOUT_CODE}),
    "labcorp_like": Known({"laboratory_labcorp.csv"}, ids={"labs": WITHOUT_CODE}),
    "quest_like": Known({"laboratory_quest.csv"}, ids={"labs": WITHOUT_CODE}),
    # An order is named by prescription and fill.
    "pharmacy_dispensing": Known(
        {"pharmacy_fills.csv"},
        ids={"medications": pl.col("order_id").str.replace("-0$", "")},
    ),
    "lunar_like": Known({"lunar_scans.txt"}),
    # A scan is named by scanner and number, and a neck belongs to the scan of its hip. A database
    # knows no scan twice.
    "hologic_apex": Known(
        {
            "apex_patients.csv",
            "apex_scan_analyses.csv",
            "apex_spines.csv",
            "apex_hips.csv",
            "apex_w_bodies.csv",
            "apex_w_body_compositions.csv",
            "apex_referenceresults.csv",
        },
        ids={"dxa": pl.col("scan_id").str.replace("^.*-", "")},
        as_canonical={
            "dxa": pl.when(
                (pl.col("site") == "femoral_neck") & (pl.col("manufacturer") == "Hologic")
            )
            .then(pl.col("scan_id").shift(1).over("patient_id", order_by="scan_id"))
            .otherwise("scan_id")
            .alias("scan_id")
        },
        defects=False,
    ),
    # These resources have no place for a patient's height, weight and therapy, nor for the reference
    # database of a score. A server knows one version of a resource, and no day that no calendar has.
    "fhir": Known(
        {"Patient.ndjson", "Observation.ndjson", "MedicationRequest.ndjson"},
        lost={
            "patients": ["height_cm", "weight_kg", "trt_started_on"],
            "dxa": ["reference_db"],
        },
        defects=False,
    ),
}


@pytest.fixture(scope="module")
def feeds() -> tuple[Feed, ...]:
    """The shipped feeds, with a FHIR server that numbers as the clinic does."""
    return tuple(
        feed.model_copy(update={"namespace": "default"}) if feed.feed == "fhir_r4" else feed
        for feed in load_feeds()
    )


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """A hundred men, with planted defects and without."""
    folders = {}
    for defects in (True, False):
        folders[defects] = tmp_path_factory.mktemp("cohort")
        simulate(folders[defects], SimulationSettings(patients=100, seed=7, defects=defects))
    return folders


@pytest.fixture(scope="module")
def canonical(cohorts: dict[bool, Path], feeds: tuple[Feed, ...]) -> dict[bool, Outputs]:
    return {defects: taken_in(folder / "drop", feeds) for defects, folder in cohorts.items()}


@pytest.fixture(scope="module")
def exported(
    cohorts: dict[bool, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The cohort in a format, written once."""

    @cache
    def write(name: str) -> Path:
        into = tmp_path_factory.mktemp(name)
        return write_exports(into, cohorts[KNOWN[name].defects] / "drop", [name])[0]

    return write


@pytest.fixture(scope="module")
def outputs_of(
    exported: Callable[[str], Path], feeds: tuple[Feed, ...]
) -> Callable[[str], Outputs]:
    """The cohort in a format, read once."""
    return cache(lambda name: taken_in(exported(name), feeds))


def taken_in(drop: Path, feeds: tuple[Feed, ...]) -> Outputs:
    sources = Sources.from_drop(drop, feeds, KEY, settings=QUICK, today=AS_OF)
    assert [file.path.name for file in sources.files if file.refused] == []
    assert sources.unmatched == ()
    return run(sources, QUICK, as_of=AS_OF, scope="ingest")


@pytest.mark.parametrize("name", FORMATS)
def test_a_shipped_feed_describes_every_file_of_any_format(
    name: str, exported: Callable[[str], Path]
):
    files = [file for file in exported(name).iterdir() if file.name != MARKER_NAME]

    shipped = load_feeds()
    found = {file.name: recognise(shipped, file) for file in files}

    feeds = {file: kinds and kinds.feed.feed for file, kinds in found.items()}
    own = FEED_OF.get(name, name)
    assert feeds == {file: own if file in KNOWN[name].files else "canonical" for file in feeds}


def test_every_format_has_what_is_known_of_it_written_down():
    assert set(KNOWN) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_cohort_in_any_format_gives_the_same_tables_row_for_row(
    name: str, canonical: dict[bool, Outputs], outputs_of: Callable[[str], Outputs]
):
    known = KNOWN[name]

    for table, key in KEYS.items():
        left_out = [*PROVENANCE, *known.lost.get(table, [])]
        expected = canonical[known.defects].tables[table].drop(left_out)
        if table in known.as_canonical:
            expected = expected.with_columns(known.as_canonical[table])
        got = outputs_of(name).tables[table].drop(left_out)
        if table in known.ids:
            got = got.with_columns(known.ids[table])
        assert len(expected) > 0
        assert_frame_equal(got.sort(key), expected.sort(key), check_exact=True)


def rules_broken(outputs: Outputs, table: str) -> dict[str, int]:
    """Count the rows in quarantine by rule; what cannot be typed is missing, not unreadable."""
    files = outputs.tables["files"].filter(pl.col("table") == table).select("source_file")
    rows = outputs.tables["quarantine"].join(files, on="source_file", how="semi")
    rules = rows["rule"].str.replace("^unreadable_", "missing_")
    return dict(rules.value_counts().sort("rule").iter_rows())


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("excel", "labs"),
        ("parquet", "dxa"),
        ("european_csv", "medications"),
        ("hl7v2", "labs"),
        ("labcorp_like", "labs"),
        ("quest_like", "labs"),
        ("pharmacy_dispensing", "medications"),
        ("lunar_like", "dxa"),
    ],
)
def test_planted_defects_are_found_in_any_format_that_can_carry_them(
    name: str,
    table: str,
    canonical: dict[bool, Outputs],
    outputs_of: Callable[[str], Outputs],
):
    found = rules_broken(outputs_of(name), table)

    assert len(found) > 2
    assert found == rules_broken(canonical[True], table)


@pytest.mark.parametrize("name", FORMATS)
def test_every_row_of_any_format_has_one_fate(name: str, outputs_of: Callable[[str], Outputs]):
    files = outputs_of(name).tables["files"]

    fates = ["accepted", "duplicate", "superseded", "withdrawn", "set_apart", "quarantined"]
    assert files["rows_read"].sum() > 0
    assert files.filter(pl.col("rows_read") != pl.sum_horizontal(fates)).is_empty()


@pytest.mark.parametrize("name", FORMATS)
def test_a_drop_in_any_format_is_whole_and_marked_as_simulated(
    name: str, cohorts: dict[bool, Path], exported: Callable[[str], Path]
):
    folder = exported(name)

    written = {file.name for file in folder.iterdir()}
    assert KNOWN[name].files <= written
    beside = written - KNOWN[name].files - {MARKER_NAME}
    assert beside <= {f"{table}.csv" for table in KEYS}
    marker = cohorts[KNOWN[name].defects] / "drop" / MARKER_NAME
    assert (folder / MARKER_NAME).read_bytes() == marker.read_bytes()


def test_patients_of_messages_alone_are_known_but_for_their_body(
    cohorts: dict[bool, Path],
    canonical: dict[bool, Outputs],
    feeds: tuple[Feed, ...],
    tmp_path: Path,
):
    (folder,) = write_exports(tmp_path, cohorts[False] / "drop", ["hl7v2"])
    (folder / "patients.csv").unlink()

    men = taken_in(folder, feeds).tables["patients"]

    said = ["patient_id", "clinic_id", "sex", "birth_date", "namespace"]
    tested = canonical[False].tables["labs"].select("patient_id").unique()
    expected = canonical[False].tables["patients"].join(tested, on="patient_id", how="semi")
    assert expected.select(said).sort("patient_id").equals(men.select(said).sort("patient_id"))
    assert men["height_cm"].null_count() == len(men)


@pytest.fixture(scope="module")
def with_outcomes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drop of a hundred men whose symptoms say which, and who have specimens for a haematocrit alone."""
    settings = SimulationSettings(patients=100, seed=7, shape="two_sides", defects=False)
    return simulate(tmp_path_factory.mktemp("outcomes"), settings).drop


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("excel", marks=pytest.mark.slow),
        pytest.param("parquet", marks=pytest.mark.slow),
        "european_csv",
        "hl7v2",
    ],
)
def test_symptoms_and_haematocrits_come_through_in_formats_that_have_them(
    name: str, with_outcomes: Path, feeds: tuple[Feed, ...], tmp_path: Path
):
    (folder,) = write_exports(tmp_path, with_outcomes, [name])

    read = taken_in(folder, feeds).tables
    written = pl.read_csv(with_outcomes / "events.csv", infer_schema=False)
    details = written.select("event_id", "detail").sort("event_id")
    assert details["detail"].n_unique() == 8
    assert_frame_equal(
        read["events"].sort("event_id").select("event_id", "detail").cast(pl.String), details
    )
    high = read["labs"].filter((pl.col("analyte") == "hematocrit") & (pl.col("value_low") > 54))
    labs = pl.read_csv(with_outcomes / "labs.csv", infer_schema=False)
    haematocrits = labs.filter(test_name="Hematocrit")["value"].cast(pl.Float64)
    assert len(high) == (haematocrits > 54).sum() > 0


@pytest.mark.parametrize("name", FORMATS)
def test_a_drop_with_defects_can_be_written_in_any_format(
    name: str, cohorts: dict[bool, Path], tmp_path: Path
):
    (folder,) = write_exports(tmp_path, cohorts[True] / "drop", [name])

    assert len(list(folder.iterdir())) > 1


def test_lines_that_a_scanner_database_cannot_hold_stay_beside_it(
    cohorts: dict[bool, Path], tmp_path: Path
):
    drop = cohorts[True] / "drop"
    (folder,) = write_exports(tmp_path, drop, ["hologic_apex"])

    lines = pl.read_csv(drop / "dxa.csv", infer_schema=False)
    beside = pl.read_csv(folder / "dxa.csv", infer_schema=False)
    analyses = pl.read_csv(folder / "apex_scan_analyses.csv", infer_schema=False)
    hips = pl.read_csv(folder / "apex_hips.csv", infer_schema=False)
    # A hip's analysis holds two lines: its own and its neck's.
    assert len(lines) == len(beside) + len(analyses) + len(hips)
    assert "Hologic" in beside["manufacturer"].to_list(), (
        "some line was planted that fits no database"
    )


def test_a_format_that_nobody_knows_is_refused_by_name(tmp_path: Path):
    with pytest.raises(ValueError, match="got fax"):
        write_exports(tmp_path, tmp_path, ["fax"])


def test_one_drop_gives_the_same_bytes_again(cohorts: dict[bool, Path], tmp_path: Path):
    clean = cohorts[False] / "drop"

    one, again = (write_exports(tmp_path / run, clean, list(FORMATS)) for run in ("one", "again"))

    contents = [
        {file.name: file.read_bytes() for folder in folders for file in folder.iterdir()}
        for folders in (one, again)
    ]
    assert contents[0] == contents[1]
