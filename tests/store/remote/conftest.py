"""A bucket of an S3-compatible server, and stores in it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import obstore
import pytest
from obstore.store import S3Store

from e2analytics.store import lease
from e2analytics.store.store import Store
from tests.store.remote.gateway import Gateway, opened
from tests.store.remote.server import KEY, SECRET, running


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that runs as long as the tests."""
    with running(tmp_path_factory.mktemp("s3")) as port:
        bucket = S3Store(
            "clinic",
            endpoint=f"http://127.0.0.1:{port}",
            access_key_id=KEY,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
        )
        # The server makes a bucket with its first object.
        obstore.put(bucket, "made", b"")
        yield port


@pytest.fixture
def s3(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the server in the environment, as a clinic does."""
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-central-1",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def gateway(s3: None, s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A way to the server that fails on demand."""
    with opened(s3_port) as gateway:
        monkeypatch.setenv("AWS_ENDPOINT_URL", gateway.url)
        yield gateway


@pytest.fixture
def uri(s3: None) -> str:
    """An address at which there is no store yet."""
    return f"s3://clinic/{uuid4().hex}/store"


@pytest.fixture
def store(uri: str) -> Store:
    return Store(uri)


@pytest.fixture
def short_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that end after two seconds, so that tests do not wait for a minute."""
    monkeypatch.setattr(lease, "_TERM_SECONDS", 2.0)
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.2)
    monkeypatch.setattr(lease, "_POLL_SECONDS", 0.05)
