"""A drop: which feed a file is, what is known already, what is refused."""

from pathlib import Path

import pytest

from e2analytics.errors import UnreadableError
from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.drop import Sources
from tests.conftest import KEY

PATIENTS = "patient_id,clinic_id,sex,birth_date\nP1,C1,M,1970-01-01\n"
LABS_WITHOUT_UNIT = "result_id,patient_id,collected_at,test_name,value\nR1,P1,2024-01-01,E2,9\n"


def read(folder: Path, **known: object) -> Sources:
    return Sources.from_drop(folder, load_feeds(), KEY, **known)  # type: ignore[arg-type]


def test_a_file_without_a_required_column_is_refused_and_the_others_are_read(tmp_path: Path):
    (tmp_path / "patients.csv").write_text(PATIENTS)
    (tmp_path / "labs.csv").write_text(LABS_WITHOUT_UNIT)

    sources = read(tmp_path)

    refused = {file.target: file.refused and file.refused.rule for file in sources.files}
    assert refused == {"labs": "missing_column", "patients": None}
    assert set(sources.rows) == {"patients"}


def test_patient_numbers_do_not_come_through_the_door(tmp_path: Path):
    (tmp_path / "patients.csv").write_text(PATIENTS)

    rows = read(tmp_path).rows["patients"]

    assert "P1" not in rows["patient_id"].to_list()
    assert rows["patient_id"].str.contains(r"^p[0-9a-f]{20}$").all()


def test_files_are_named_by_feed_and_hash_whatever_they_are_called(tmp_path: Path):
    (tmp_path / "patients-of-John-Smith.csv").write_text(PATIENTS)

    (file,) = read(tmp_path).files

    assert file.source_file.startswith("canonical-patients-")
    assert "Smith" not in file.source_file


def test_the_same_content_is_read_once(tmp_path: Path):
    (tmp_path / "patients.csv").write_text(PATIENTS)
    (tmp_path / "patients-again.csv").write_text(PATIENTS)

    sources = read(tmp_path)

    assert len(sources.files) == 1
    assert len(sources.known) == 1
    assert not read(tmp_path, known_hashes=[sources.files[0].sha256]).files


def test_a_file_that_no_feed_describes_is_reported(tmp_path: Path):
    (tmp_path / "invoice.csv").write_text("a,b\n1,2\n")
    (tmp_path / "README.md").write_text("What this is.")
    (tmp_path / ".DS_Store").write_text("")

    assert [path.name for path in read(tmp_path).unmatched] == ["invoice.csv"]


def test_extra_columns_are_allowed_and_reported(tmp_path: Path):
    (tmp_path / "patients.csv").write_text(
        "nickname,patient_id,clinic_id,sex,birth_date\nJo,P1,C1,M,1970-01-01\n"
    )

    (file,) = read(tmp_path).files

    assert file.extra_columns == ("nickname",)


def test_a_folder_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(UnreadableError, match="Give a folder of files with --drop"):
        read(tmp_path / "nowhere")
