"""The monthly flow in a real Prefect server: its files, and what it leaves behind there."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest
from prefect.blocks.notifications import NotificationBlock

from e2analytics.errors import ConfigurationError, TooLittleDataError
from e2analytics.store.store import Store
from flows.monthly import monthly
from tests.flows.conftest import database, database_file


class Letterbox(NotificationBlock):
    """Keeps what it is given."""

    letters: ClassVar[list[tuple[str | None, str]]] = []

    def notify(self, body: str, subject: str | None = None) -> None:
        self.letters.append((subject, body))


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration that notifies a block that is there."""
    Letterbox().save("quality")
    file = tmp_path_factory.mktemp("config") / "e2.toml"
    file.write_text('[report]\nnotify_block = "letterbox/quality"\n')
    return file


@pytest.fixture(scope="module")
def first_page(published: Path, configured: Path) -> Path:
    return Path(
        monthly(
            store=str(published / "store"),
            out=str(published / "reports"),
            month="2026-09",
            config=str(configured),
        )
    )


def artifact() -> str:
    """The last artifact of the month, as Prefect keeps it."""
    with closing(sqlite3.connect(database_file())) as kept:
        rows = kept.execute(
            "SELECT data FROM artifact WHERE key = 'e2-report-2026-09' ORDER BY created DESC"
        ).fetchall()
    return str(json.loads(rows[0][0]))


def test_it_writes_both_versions_of_all_clinics_and_of_each(first_page: Path, published: Path):
    assert first_page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    run = Store(str(published / "store")).published()
    assert run is not None
    clinics = Store(str(published / "store")).table("patients", run)["clinic_id"].n_unique()
    assert len(list(first_page.parent.iterdir())) == 2 * 3 * (1 + clinics)


def test_its_artifact_tells_no_count_of_1_to_10_and_links_the_files(first_page: Path):
    text = artifact()

    counts = [int(n.replace(",", "")) for n in re.findall(r"\| ([\d,]+) \|", text)]
    assert counts
    assert [count for count in counts if 1 <= count <= 10] == []
    assert first_page.absolute().as_uri() in text


def test_the_configured_block_receives_the_text_of_the_artifact(first_page: Path):
    assert Letterbox.letters[-1] == ("Estradiol and bone: report of 2026-09", artifact())


def test_prefects_database_knows_no_patient(first_page: Path, published: Path):
    run = Store(str(published / "store")).published()
    assert run is not None
    patients = Store(str(published / "store")).table("patients", run)

    kept = database()

    assert b"e2-monthly" in kept
    names = {*patients["patient_id"], *patients["birth_date"].dt.to_string()}
    assert names & set(re.findall(r"[\w-]+", kept.decode(errors="replace"))) == set()


def test_a_block_that_is_not_there_stops_it_before_anything_is_written(
    published: Path, tmp_path: Path
):
    (tmp_path / "e2.toml").write_text('[report]\nnotify_block = "letterbox/nobody"\n')

    with pytest.raises(ConfigurationError, match="no block 'letterbox/nobody'"):
        monthly(
            store=str(published / "store"),
            out=str(tmp_path / "reports"),
            month="2026-09",
            config=str(tmp_path / "e2.toml"),
        )

    assert not (tmp_path / "reports").exists()


def test_before_the_months_last_nightly_it_says_what_is_missing(published: Path, tmp_path: Path):
    with pytest.raises(TooLittleDataError, match="as of 2026-08-31, the last day of 2026-08"):
        monthly(store=str(published / "store"), out=str(tmp_path), month="2026-08")
