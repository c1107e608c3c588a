"""One Prefect server for the session: it takes seconds to start."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from prefect.testing.utilities import prefect_test_harness

from flows.nightly import nightly
from tests.conftest import AS_OF


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def published(clinic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that the nightly flow published from a simulated drop."""
    folder = tmp_path_factory.mktemp("flows")
    nightly(drop=str(clinic / "drop"), store=str(folder / "store"), as_of=AS_OF)
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
