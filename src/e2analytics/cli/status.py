"""``status``: what a store holds."""

from __future__ import annotations

from e2analytics.cli.options import DEFAULT_STORE, ConfigOption, StoreOption


def status(store: StoreOption = DEFAULT_STORE, config: ConfigOption = None) -> None:
    """Show the last runs, row counts, freshness of each feed, the limit in use and open flags."""
    from e2analytics.cli.status_view import print_status
    from e2analytics.settings import read_settings
    from e2analytics.store.store import open_published

    print_status(*open_published(store), read_settings(config))
