"""A store with one published run, and what tests ask of it."""

import json
import shutil
import tarfile
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from e2analytics.store.lock import writing
from e2analytics.store.publish import publish as publish_run
from e2analytics.store.store import Store
from e2analytics.tables.categoricals import to_contract_types
from e2analytics.tables.snapshot import Outputs
from tests.conftest import AS_OF


def publish(store: Store, outputs: Outputs, as_of: date = AS_OF) -> dict[str, object]:
    with writing(store.delta):
        return publish_run(
            store,
            outputs,
            run_id=store.next_run_id(),
            as_of=as_of,
            part="all",
            key_check="check",
            started_at=datetime.now(UTC),
            settings={},
            inputs={},
        )


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, outputs: Outputs) -> Path:
    """A store with one run, not to be written to."""
    folder = tmp_path_factory.mktemp("published") / "store"
    publish(Store(str(folder)), outputs)
    return folder


@pytest.fixture
def store(tmp_path: Path, published: Path) -> Store:
    shutil.copytree(published, tmp_path / "store")
    return Store(str(tmp_path / "store"))


def versions(store: Store) -> dict[str, int]:
    published = store.published()
    assert published is not None
    return dict(json.loads(published["table_versions"]))


def labs_of(store: Store) -> pl.DataFrame:
    return to_contract_types(store.snapshot().tables["labs"], "labs")


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack a store of our own; the first Pythons 3.11 know no filters."""
    archive.extraction_filter = getattr(tarfile, "data_filter", None)
    archive.extractall(folder)  # noqa: S202 - our own archive
