"""``ingest``: only read a drop."""

from __future__ import annotations

from e2analytics.cli.options import (
    DEFAULT_STORE,
    AsOfOption,
    ConfigOption,
    DropArgument,
    StoreOption,
)
from e2analytics.cli.parts import run_part


def ingest(
    drop: DropArgument,
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
) -> None:
    """Only read a drop: check its rows and publish them; nothing is fitted or flagged."""
    run_part("ingest", store, as_of, config, drop=drop)
