"""Sets what Prefect reads when it is imported; call it before."""

from __future__ import annotations

import os


def prepare_prefect() -> None:
    """Switch off Prefect's usage reports and give its server time to start."""
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # A busy machine takes longer than the 20 s that Prefect waits by itself, and a night would be lost.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
