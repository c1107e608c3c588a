"""``flag``: only flag."""

from __future__ import annotations

from e2analytics.cli.options import (
    DEFAULT_STORE,
    AsOfOption,
    ConfigOption,
    PreviewOption,
    StoreOption,
)
from e2analytics.cli.parts import preview_flags, run_part


def flag(
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
    preview: PreviewOption = False,
) -> None:
    """Only flag: judge the men that the store holds as of a day."""
    if preview:
        preview_flags(store, as_of, config)
    else:
        run_part("flag", store, as_of, config)
