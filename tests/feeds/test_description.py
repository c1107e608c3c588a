"""Feed descriptions: the analyst's door."""

from pathlib import Path

import pytest

from e2analytics.errors import ConfigurationError
from e2analytics.feeds.description import load_feeds, match


def test_the_shipped_descriptions_are_understood():
    assert {feed.feed for feed in load_feeds()} == {"canonical", "nhanes_2017_2020"}


def test_a_new_supplier_is_one_yaml_file(tmp_path: Path):
    (tmp_path / "lab.yaml").write_text(
        "feed: lab\ndescription: d\nformat: delimited\nfiles:\n"
        "  - {target: labs, name: 'results_*.txt', required: [Id], columns: {result_id: Id}}\n"
    )

    feed, kind = match(load_feeds(tmp_path), "Results_2024.TXT") or (None, None)

    assert feed is not None
    assert kind is not None
    assert (feed.feed, kind.target) == ("lab", "labs")


def test_a_folder_of_descriptions_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="feeds_folder"):
        load_feeds(tmp_path / "feedz")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("feed: [", "cannot be read"),
        ("feed: x\ndescription: d\nformat: delimited\nfiles: []\ncolour: red", "colour"),
        (
            "feed: x\ndescription: d\nformat: delimited\nfiles:\n"
            "  - {target: labs, name: a, required: [], columns: {result: Id}}",
            "labs has no column result",
        ),
    ],
)
def test_a_wrong_description_is_told_with_file_and_key(tmp_path: Path, text: str, told: str):
    (tmp_path / "lab.yaml").write_text(text)

    with pytest.raises(ConfigurationError, match=r"lab\.yaml") as wrong:
        load_feeds(tmp_path)

    assert told in str(wrong.value)
