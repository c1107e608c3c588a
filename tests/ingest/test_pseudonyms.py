"""Pseudonyms: keyed and stable."""

import polars as pl

from e2analytics.ingest.pseudonyms import Pseudonyms, pseudonym

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
