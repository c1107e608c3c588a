"""Files beside the data of a drop: known ones are passed over, whatever may be data is not."""

from pathlib import Path

import pytest

from e2analytics.feeds.side_files import kind_of

LOG = '{"exportId":"x","timestamp":"2026-01-01T00:00:00Z","eventId":"kickoff","eventDetail":{}}\n'


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (".DS_Store", "hidden"),
        ("._labs.csv", "hidden"),
        ("README", "a readme"),
        ("ReadMe.md", "a readme"),
        ("README_FIRST.txt", "a readme"),
        ("LICENSE.txt", "a readme"),
        ("Thumbs.db", "of the operating system"),
        ("__MACOSX", "of the operating system"),
        ("~$labs.xlsx", "a lock of an open document"),
        ("labs.csv~", "a lock of an open document"),
        ("labs.csv.sha256", "a checksum"),
        ("MD5SUMS", "a checksum"),
        ("checksums.txt", "a checksum"),
        ("sftp.log", "a log"),
    ],
)
def test_side_files_are_known_by_name(name: str, kind: str):
    assert kind_of(Path(name)) == kind


@pytest.mark.parametrize(
    "name",
    ["labs.csv", "readme_labs.csv", "readme.csv", "labs.csv.part", "checksums.csv", "labs.md5.csv"],
)
def test_what_may_be_data_is_no_side_file(name: str):
    assert kind_of(Path(name)) is None


def test_a_signal_that_an_export_is_complete_is_empty(tmp_path: Path):
    empty, filled = tmp_path / "labs.done", tmp_path / "dxa.done"
    empty.touch()
    filled.write_text("42 rows\n")

    assert kind_of(empty) == "a signal that an export is complete"
    assert kind_of(filled) is None


def test_a_log_of_bulk_data_is_none_if_one_line_is_a_resource(tmp_path: Path):
    log, data, empty = (tmp_path / f"log{n}.ndjson" for n in ("", ".1", ".2"))
    log.write_text(LOG + LOG)
    data.write_text(LOG + '{"resourceType":"Patient","id":"1"}\n')
    empty.touch()

    assert kind_of(log) == "a log of the server"
    assert kind_of(data) is None
    assert kind_of(empty) is None


def test_the_list_of_files_of_bulk_data_is_known_by_its_content(tmp_path: Path):
    listing, bundle = tmp_path / "files.json", tmp_path / "bundle.json"
    listing.write_text('{"transactionTime":"2026-01-01","request":"x","output":[],"error":[]}')
    bundle.write_text('{"resourceType":"Bundle","output":[],"transactionTime":"x"}')

    assert kind_of(listing) == "the list of files of a Bulk Data export"
    assert kind_of(bundle) is None


def test_the_clinic_names_what_else_is_no_data():
    assert kind_of(Path("Cover-Letter 3.PDF"), ["cover-letter*.pdf"]) == "no data by the settings"
    assert kind_of(Path("results.pdf"), ["cover-letter*.pdf"]) is None


def test_a_folder_or_a_link_is_no_side_file(tmp_path: Path):
    (tmp_path / "2026-03").mkdir()
    (tmp_path / "log.ndjson").symlink_to(tmp_path / "2026-03")

    assert kind_of(tmp_path / "2026-03") is None
    assert kind_of(tmp_path / "log.ndjson") is None
