"""The registry of formats: what one registration says is true of the reader and of the shipped feeds."""

from pathlib import Path

import pytest

from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.formats import FORMATS, FileFormat
from e2analytics.feeds.reader import Beginning

REPOSITORY = Path(__file__).parents[2]


def test_a_format_is_called_by_the_kind_of_its_options():
    assert all(each.options(kind=kind).kind == kind for kind, each in FORMATS.items())


@pytest.mark.parametrize("known", [each for each in FORMATS.values() if each.defines_columns])
def test_a_format_whose_reader_defines_the_columns_has_a_feed_and_documents_them(
    known: FileFormat,
):
    feeds = {feed.feed: feed for feed in load_feeds()}

    assert feeds[known.shipped_feed or ""].format.kind == known.kind
    guide = (REPOSITORY / "docs" / "feeds.md").read_text(encoding="utf-8")
    (heading,) = (line for line in guide.splitlines() if line.startswith("## Columns of "))
    assert known.kind.removesuffix("v2").upper() in heading


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        (b"PAR1\x15\x04", ["parquet"]),
        (b"HEADER RECORD*******LIBV8", ["sas"]),
        (b"PK\x03\x04", ["excel"]),
        (b"\xd0\xcf\x11\xe0", ["excel"]),
        (b"\r\n\x0bMSH|^~\\&|", ["hl7v2"]),
        (b"FHS|^~\\&|", ["hl7v2"]),
        ("MSH|^~\\&|".encode("utf-16"), ["hl7v2"]),
        (b'\xef\xbb\xbf {"resourceType": "Patient"}', ["fhir"]),
        (b"MRN;Result\n7;21\n", []),
    ],
)
def test_a_file_looks_like_one_format_at_most(tmp_path: Path, content: bytes, kinds: list[str]):
    path = tmp_path / "new.bin"
    path.write_bytes(content)
    beginning = Beginning(path, content)

    assert [kind for kind, each in FORMATS.items() if each.reader.looks_like(beginning)] == kinds
