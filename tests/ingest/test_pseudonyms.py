"""Pseudonyms: keyed, stable, and never without a key."""

from pathlib import Path

import polars as pl
import pytest

from e2analytics.errors import ConfigurationError
from e2analytics.ingest.pseudonyms import Pseudonyms, key_check, pseudonym, read_key
from e2analytics.reference.simulation_marker import MARKER_NAME

KEY = b"0123456789abcdef"


def test_a_pseudonym_is_stable_and_depends_on_key_namespace_and_number():
    one = pseudonym(KEY, "clinic", "7")

    assert one == pseudonym(KEY, "clinic", "7")
    others = {
        pseudonym(KEY, "lab", "7"),
        pseudonym(KEY, "clinic", "8"),
        pseudonym(b"f" * 16, "clinic", "7"),
    }
    assert len(others | {one}) == 4
    # Not to be confused by where the namespace ends.
    assert pseudonym(KEY, "ab", "c") != pseudonym(KEY, "a", "bc")


def test_rows_keep_their_order_and_a_missing_number_stays_missing():
    rows = pl.DataFrame({"patient_id": ["b", None, "a", "b"], "n": [1, 2, 3, 4]})

    names = Pseudonyms(KEY)
    found = names.replace(rows[:2], "clinic").vstack(names.replace(rows[2:], "clinic"))

    assert found["n"].to_list() == [1, 2, 3, 4]
    assert found["patient_id"].to_list() == [
        pseudonym(KEY, "clinic", "b"),
        None,
        pseudonym(KEY, "clinic", "a"),
        pseudonym(KEY, "clinic", "b"),
    ]
    # The crosswalk holds each of them once.
    assert names.crosswalk()["source_patient_id"].to_list() == ["b", "a"]


def test_the_key_comes_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "key").write_bytes(KEY + b"\n")
    monkeypatch.setenv("E2ANALYTICS_KEY_FILE", str(tmp_path / "key"))
    assert read_key() == KEY

    monkeypatch.setenv("E2ANALYTICS_KEY", "another key, long enough")
    assert read_key() == b"another key, long enough"


def test_only_a_simulated_drop_may_go_without_a_key(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="There is no key"):
        read_key(tmp_path)

    (tmp_path / MARKER_NAME).write_text("{}")
    assert len(read_key(tmp_path)) >= 16


def test_a_short_key_and_a_missing_key_file_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("E2ANALYTICS_KEY", "short")
    with pytest.raises(ConfigurationError, match="5 characters") as wrong:
        read_key()
    assert "short;" not in str(wrong.value)

    monkeypatch.delenv("E2ANALYTICS_KEY")
    monkeypatch.setenv("E2ANALYTICS_KEY_FILE", "/nowhere/key")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key()


def test_the_check_of_a_key_tells_keys_apart_and_does_not_hold_them():
    assert key_check(KEY) != key_check(b"f" * 16)
    assert KEY.decode() not in key_check(KEY)
