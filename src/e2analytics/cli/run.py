"""``run``: the whole nightly flow, in Prefect, once."""

from __future__ import annotations

import os
import signal
import sys
from datetime import date
from typing import Annotated

import typer

from e2analytics.cli.options import (
    DEFAULT_STORE,
    AsOfOption,
    ConfigOption,
    DropOption,
    StoreOption,
)
from e2analytics.cli.parts import exit_if_incomplete
from e2analytics.errors import EXIT_TERMINATED, ConfigurationError


def run(
    drop: DropOption,
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
    refit: Annotated[bool, typer.Option("--refit", help="Fit anew, whatever the month.")] = False,
) -> None:
    """Run the whole nightly flow, in Prefect, once: read, check, fit, flag, publish."""
    from e2analytics.cli.prefect_environment import prepare_prefect
    from e2analytics.cli.progress import progress_bar
    from e2analytics.cli.run_view import print_done
    from e2analytics.run import progress
    from e2analytics.run.job import Job, check
    from e2analytics.settings import read_settings

    day = as_of or date.today()
    # A mistake need not wait for Prefect.
    settings = read_settings(config)
    check(Job(store=store, as_of=day, settings=settings, drop=drop))
    # An orderly exit also ends the server that Prefect started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    with progress_bar() as report_progress:
        report_progress(_prefect_starts())
        prepare_prefect()
        _check_prefect_server()
        from flows.nightly import nightly

        with progress.listening(report_progress):
            done = nightly(
                drop=str(drop),
                store=store,
                as_of=day,
                config=str(config) if config else None,
                refit=refit,
            )
    print_done(done, store, settings.feeds_folder)
    exit_if_incomplete(done)


def _prefect_starts() -> str:
    # The terminal shows progress and a summary; a deployment's log keeps what Prefect says.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    if os.environ.get("PREFECT_API_URL"):
        return "Connecting to Prefect"
    return (
        "Starting a Prefect server for this run (about 15 s; PREFECT_API_URL names a running one)"
    )


def _check_prefect_server() -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        return
    with get_client(sync_client=True) as client:
        if client.api_healthcheck() is not None:
            raise ConfigurationError(
                "No Prefect server answers at the address in PREFECT_API_URL. Start it, correct the address, "
                "or unset PREFECT_API_URL: then a server is started for this run alone. Nothing was read."
            )
