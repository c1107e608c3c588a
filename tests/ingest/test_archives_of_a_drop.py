"""Archives of a drop are read like the files in them."""

import gzip
import zipfile
from pathlib import Path

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.run.inspect import inspect
from e2analytics.settings import Settings
from tests.conftest import AS_OF, KEY

PATIENTS = b"patient_id,clinic_id,sex,birth_date\nP1,C1,M,1970-01-01\n"
LABS = b"result_id,patient_id,collected_at,test_name,value,unit\nR1,P1,2026-01-01,E2,21,pg/mL\n"


def archives(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "september.zip", "w") as archive:
        archive.writestr("labs.csv", LABS)
        archive.writestr("README.md", "what this is")
        archive.writestr("invoice.csv", "a,b\n1,2\n")
    (folder / "patients.csv.gz").write_bytes(gzip.compress(PATIENTS))
    (folder / "older.zip").write_bytes(b"PK\x03\x04 cut off")
    return folder


def read(folder: Path) -> Sources:
    return Sources.from_drop(folder, load_feeds(), KEY, today=AS_OF)


def test_files_in_archives_are_read_and_every_other_member_is_accounted_for(tmp_path: Path):
    sources = read(archives(tmp_path))

    known_as = {
        file.path.relative_to(tmp_path).as_posix(): file.refused.rule if file.refused else file.rows_read
        for file in sources.files
    }  # fmt: skip
    assert known_as == {
        "patients.csv.gz/patients.csv": 1,
        "september.zip/labs.csv": 1,
        "september.zip/invoice.csv": "no_feed",
        "older.zip": "damaged_archive",
    }
    assert {file.path.name: file.kind for file in sources.passed_over} == {
        "patients.csv.gz": "an archive, unpacked",
        "september.zip": "an archive, unpacked",
        "README.md": "a readme",
    }
    assert len(sources.unmatched) == 1


def test_a_file_is_the_same_file_packed_or_not(tmp_path: Path):
    packed = {file.table: file for file in read(archives(tmp_path)).files}
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "labs.csv").write_bytes(LABS)

    (labs,) = read(plain).files

    assert (labs.source_file, labs.named) == (packed["labs"].source_file, packed["labs"].named)


def test_inspect_shows_the_members(tmp_path: Path):
    paths = sorted(archives(tmp_path).iterdir())

    found = inspect(paths, Settings(), today=AS_OF)

    assert {
        file.path.relative_to(tmp_path).as_posix(): file.no_data
        or (file.feed.feed if file.feed else str(file.refused))
        for file in found.files
    } == {
        "older.zip": "damaged_archive: it is damaged, or packed in an unusual way",
        "patients.csv.gz": "an archive, unpacked",
        "patients.csv.gz/patients.csv": "canonical",
        "september.zip": "an archive, unpacked",
        "september.zip/labs.csv": "canonical",
        "september.zip/README.md": "a readme",
        "september.zip/invoice.csv": "None",
    }
    assert not found.patients_missing
