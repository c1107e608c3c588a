"""The flows in a real Prefect server: what they do, and what they leave behind there."""

import logging
import signal
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.exceptions import TerminationSignal

from e2analytics.errors import UnforeseenError
from e2analytics.run.job import without_values
from e2analytics.store.access import DeltaTables
from e2analytics.store.store import Store
from flows.monthly import monthly
from flows.nightly import nightly
from tests.conftest import AS_OF
from tests.flows.conftest import database

REPOSITORY = Path(__file__).parents[2]


def test_the_nightly_flow_publishes_what_the_pipeline_makes(published: Path, one_clinic: Path):
    store = Store(str(published / "store"))
    run = store.published()

    assert run is not None
    assert (run["outcome"], run["as_of"]) == ("complete", AS_OF)
    lines = sum(len(p.read_text().splitlines()) - 1 for p in (one_clinic / "drop").glob("*.csv"))
    assert store.table("files", run)["rows_read"].sum() == lines
    assert len(store.table("cohort", run)) > 100


def test_prefects_database_knows_no_patient(published: Path, one_clinic: Path):
    store = Store(str(published / "store"))
    patients = pl.read_csv(one_clinic / "drop" / "patients.csv", infer_schema=False)
    run = store.published()
    assert run is not None
    pseudonyms = store.table("patients", run)["patient_id"]

    kept = database()

    # The database is the right one: it knows the flow and its tasks.
    assert b"e2-nightly" in kept
    assert b"measure_exposure" in kept
    named = [*patients["patient_id"], *pseudonyms, *patients["birth_date"].unique()]
    assert [name for name in named if name.encode() in kept] == []


POISON = "SECRET-VALUE-12.34"


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("e2analytics.exposure.scan_pairs._with_precision", "link failed with ValueError"),
        # Between two tasks.
        ("e2analytics.curve.frozen_model.record", "run_job failed with ValueError"),
    ],
)
def test_an_unforeseen_error_says_where_and_carries_no_value(
    one_man: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: str,
    told: str,
):
    def broken(*_: object, **__: object) -> None:
        raise ValueError(POISON)

    monkeypatch.setattr(place, broken)

    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(UnforeseenError, match=told),
    ):
        nightly(drop=str(one_man), store=str(tmp_path / "store"), as_of=AS_OF)

    assert POISON not in caplog.text
    assert POISON.encode() not in database()
    assert not Store(str(tmp_path / "store")).exists()


def test_a_refused_file_is_named_in_the_log_by_feed_and_hash(
    one_man: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (one_man / "labs-of-Mr-Smith.csv").write_text("result_id\nR1\n")

    with caplog.at_level(logging.INFO):
        done = nightly(drop=str(one_man), store=str(tmp_path / "store"), as_of=AS_OF)

    assert done.outputs.outcome == "incomplete"
    assert "missing_column" in caplog.text
    assert "Smith" not in caplog.text


def test_the_deployments_name_flows_that_are_there_and_parameters_they_take():
    deployments = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())["deployments"]

    assert [deployment["name"] for deployment in deployments] == ["nightly", "monthly"]
    flows = {"flows/nightly.py:nightly": nightly, "flows/monthly.py:monthly": monthly}
    for deployment in deployments:
        flow = flows[deployment["entrypoint"]]
        assert set(deployment["parameters"]) <= set(flow.parameters.properties)
        assert all({"cron", "timezone"} <= set(schedule) for schedule in deployment["schedules"])


def test_the_server_takes_what_prefects_own_commands_send():
    # FastAPI refuses a null there from 0.151 on: `prefect deploy --all` ends half-way.
    with get_client(sync_client=True) as client:
        assert client.read_deployments() == []


def test_the_day_is_todays_by_default(one_man: Path, tmp_path: Path):
    done = nightly(drop=str(one_man), store=str(tmp_path / "store"))

    assert done.manifest["as_of"] == date.today()


def test_prefects_sign_to_stop_passes_every_guard_and_is_no_defect(tmp_path: Path):
    def stop() -> None:
        raise TerminationSignal(signal.SIGTERM)

    with pytest.raises(TerminationSignal):
        without_values(stop)()
    with (
        pytest.raises(TerminationSignal),
        DeltaTables(str(tmp_path)).named_errors("labs", "written"),
    ):
        stop()
