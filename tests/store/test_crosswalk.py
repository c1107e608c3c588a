"""The crosswalk: sealed at rest, opened by the right key alone, and never without a trace."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from e2analytics.errors import ConfigurationError, TooLittleDataError, UnreadableError
from e2analytics.key import key_check
from e2analytics.store import crosswalk
from e2analytics.store.migrations import SCHEMA_VERSION
from e2analytics.store.store import Store
from tests.conftest import KEY

OTHER_KEY = b"another key, long enough as well"
NAMES = pl.DataFrame(
    {
        "patient_id": ["p2", "p1"],
        "source_patient_id": ["MRN-0002", "MRN-0001"],
        "namespace": ["default", "acme"],
    }
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that knows its key."""
    made = Store(str(tmp_path / "store"))
    info = {"schema_version": [SCHEMA_VERSION], "key_check": [key_check(KEY)]}
    made.delta.write("store_info", pl.DataFrame(info), "overwrite")
    made.delta.write("runs", pl.DataFrame({"run_id": ["run-000001"]}), "overwrite")
    return made


def audit(store: Store) -> pl.DataFrame:
    return store.delta.read("audit")


def test_what_was_sealed_is_opened_in_the_order_of_the_pseudonyms():
    sealed = crosswalk.seal(NAMES, KEY)

    assert sealed.columns == ["patient_id", "sealed"]
    assert_frame_equal(crosswalk.unseal(sealed, KEY), NAMES.sort("patient_id"))


def test_nothing_of_a_patient_is_readable_and_no_two_sealings_are_alike():
    sealed, again = crosswalk.seal(NAMES, KEY), crosswalk.seal(NAMES, KEY)

    assert not any(b"MRN" in content for content in sealed["sealed"])
    assert not set(sealed["sealed"]) & set(again["sealed"])


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_any_number_of_any_supplier_comes_back(behind: list[tuple[str, str]]):
    names = pl.DataFrame(
        [(f"p{i}", number, namespace) for i, (number, namespace) in enumerate(behind)],
        schema=dict.fromkeys(crosswalk.COLUMNS, pl.String),
        orient="row",
    )

    assert_frame_equal(crosswalk.unseal(crosswalk.seal(names, KEY), KEY), names)


def test_another_key_opens_nothing_and_the_message_says_how_many_but_not_who():
    with pytest.raises(ConfigurationError, match="2 of 2 rows") as wrong:
        crosswalk.unseal(crosswalk.seal(NAMES, KEY), OTHER_KEY)

    assert "p1" not in str(wrong.value)
    assert "MRN" not in str(wrong.value)
    assert wrong.value.__suppress_context__ or wrong.value.__context__ is None


@pytest.mark.parametrize(
    "tamper",
    [
        lambda first, second: [second, first],  # put under another pseudonym
        lambda first, second: [first[:-1] + bytes([first[-1] ^ 1]), second],
        lambda first, second: [first[:20], second],
        lambda first, second: [b"", second],
    ],
)
def test_a_row_that_was_changed_or_moved_is_refused(tamper: object):
    sealed = crosswalk.seal(NAMES, KEY)
    assert callable(tamper)
    changed = pl.Series("sealed", tamper(*sealed["sealed"].to_list()), dtype=pl.Binary)

    with pytest.raises(ConfigurationError, match="of 2 rows"):
        crosswalk.unseal(sealed.with_columns(changed), KEY)


def test_only_pseudonyms_that_are_new_are_added(store: Store):
    assert crosswalk.add(store, NAMES, KEY) == 2
    first = store.delta.read("crosswalk")
    more = pl.DataFrame(
        {
            "patient_id": ["p1", "p3", "p3", None],
            "source_patient_id": ["MRN-0001", "MRN-0003", "MRN-0003", None],
            "namespace": ["acme", "acme", "acme", "acme"],
        }
    )

    assert crosswalk.add(store, more, KEY) == 1
    assert crosswalk.add(store, more, KEY) == 0

    now = store.delta.read("crosswalk")
    assert sorted(now["patient_id"]) == ["p1", "p2", "p3"]
    assert_frame_equal(now.join(first, on="patient_id", how="semi").sort("patient_id"), first)


def test_the_file_is_for_its_owner_alone_and_the_audit_names_no_patient(
    store: Store, tmp_path: Path
):
    crosswalk.add(store, NAMES, KEY)
    file = tmp_path / "crosswalk.csv"
    before = os.umask(0)  # even where everything new would be open to everybody
    try:
        assert crosswalk.export(store, KEY, file) == 2
    finally:
        os.umask(before)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text(encoding="utf-8") == (
        "patient_id,source_patient_id,namespace\np1,MRN-0001,acme\np2,MRN-0002,default\n"
    )
    line = audit(store).row(0, named=True)
    assert line.keys() == {"at", "who", "what", "rows"}
    assert (line["what"], line["rows"]) == ("crosswalk opened", 2)
    assert line["who"]
    assert (datetime.now(UTC) - line["at"]).total_seconds() < 60


def test_every_opening_leaves_a_line_of_its_own(store: Store, tmp_path: Path):
    crosswalk.add(store, NAMES, KEY)

    crosswalk.export(store, KEY, tmp_path / "a.csv")
    crosswalk.export(store, KEY, tmp_path / "b.csv")

    assert len(audit(store)) == 2


def test_a_file_that_is_there_or_behind_a_link_is_left_alone(store: Store, tmp_path: Path):
    crosswalk.add(store, NAMES, KEY)
    taken, link = tmp_path / "taken.csv", tmp_path / "link.csv"
    taken.write_text("mine")
    link.symlink_to(tmp_path / "elsewhere.csv")

    for file in (taken, link):
        with pytest.raises(UnreadableError, match="there already"):
            crosswalk.export(store, KEY, file)

    assert taken.read_text() == "mine"
    assert not (tmp_path / "elsewhere.csv").exists()
    assert not store.delta.is_table("audit")


def test_a_folder_that_does_not_exist_is_an_error(store: Store, tmp_path: Path):
    crosswalk.add(store, NAMES, KEY)

    with pytest.raises(UnreadableError, match="No such file or directory"):
        crosswalk.export(store, KEY, tmp_path / "nowhere" / "crosswalk.csv")


def test_no_file_is_left_where_others_could_read_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    crosswalk.add(store, NAMES, KEY)
    file = tmp_path / "crosswalk.csv"
    file_of_a_careless_disk = os.open(file, os.O_WRONLY | os.O_CREAT, 0o644)
    monkeypatch.setattr(crosswalk.os, "open", lambda *_: file_of_a_careless_disk)

    with pytest.raises(UnreadableError, match="readable by others"):
        crosswalk.export(store, KEY, file)

    assert not file.exists()


def test_nothing_is_opened_without_its_line_in_the_audit(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    crosswalk.add(store, NAMES, KEY)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_csv", full)
    with pytest.raises(UnreadableError, match="No space left"):
        crosswalk.export(store, KEY, tmp_path / "crosswalk.csv")

    assert len(audit(store)) == 1
    assert not (tmp_path / "crosswalk.csv").exists()


def test_another_key_is_refused_before_anything_is_written(store: Store, tmp_path: Path):
    crosswalk.add(store, NAMES, KEY)

    with pytest.raises(ConfigurationError, match="another key"):
        crosswalk.export(store, OTHER_KEY, tmp_path / "crosswalk.csv")

    assert not (tmp_path / "crosswalk.csv").exists()
    assert not store.delta.is_table("audit")


def test_a_store_without_a_crosswalk_says_so(store: Store, tmp_path: Path):
    with pytest.raises(TooLittleDataError, match="has no crosswalk"):
        crosswalk.export(store, KEY, tmp_path / "crosswalk.csv")


def test_a_number_that_a_spreadsheet_would_run_is_kept_from_it_and_can_be_had_back(
    store: Store, tmp_path: Path
):
    numbers = ["=cmd|' /C calc'!A0", "+49", "-7", "@x", "'=quoted", '7 "of nine", 9', "0042"]
    names = pl.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(len(numbers))],
            "source_patient_id": numbers,
            "namespace": "default",
        }
    )
    crosswalk.add(store, names, KEY)

    crosswalk.export(store, KEY, tmp_path / "crosswalk.csv")

    written = pl.read_csv(tmp_path / "crosswalk.csv", infer_schema=False)["source_patient_id"]
    assert not any(number.startswith(("=", "+", "-", "@")) for number in written)
    assert [number.removeprefix("'") for number in written] == numbers
