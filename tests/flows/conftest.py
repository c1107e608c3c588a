"""One Prefect server for the session: it takes seconds to start."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

from e2analytics.simulate import SimulationSettings, simulate
from flows.nightly import nightly
from tests.conftest import AS_OF, KEY, QUICK


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    # The server is imported by whoever runs these tests, not by each who collects them: it takes seconds.
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def one_clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drop and truth of 600 men of one clinic: the reports of each more take a while."""
    folder = tmp_path_factory.mktemp("one_clinic")
    simulate(folder, SimulationSettings(patients=600, seed=7, clinics=1))
    return folder


@pytest.fixture(scope="session")
def published(one_clinic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that the nightly flow published from a simulated drop."""
    folder = tmp_path_factory.mktemp("flows")
    quick = folder / "quick.toml"
    quick.write_text(f"[fit]\nn_replicates = {QUICK.fit.n_replicates}\n")
    nightly(
        drop=str(one_clinic / "drop"),
        store=str(folder / "store"),
        as_of=AS_OF,
        config=str(quick),
    )
    return folder


@pytest.fixture
def one_man(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drop of one man with one result, too few for a model: the flow takes every other step."""
    monkeypatch.setenv("E2ANALYTICS_KEY", KEY.decode())
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "patients.csv").write_text(
        "patient_id,clinic_id,sex,birth_date\nP1,C1,M,1970-01-01\n"
    )
    (folder / "labs.csv").write_text(
        "result_id,patient_id,collected_at,test_name,value,unit,status,reported_at\n"
        "R1,P1,2024-03-01T08:00,Estradiol,20,pg/mL,F,2024-03-02\n"
    )
    return folder


def database_file() -> Path:
    """Where Prefect keeps what it knows."""
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    assert url is not None
    return Path(url.partition(":///")[2])


def database() -> bytes:
    """All that Prefect knows."""
    path = database_file()
    parts = [path, *path.parent.glob(path.name + "-*")]
    return b"".join(part.read_bytes() for part in parts if part.is_file())
