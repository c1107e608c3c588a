"""One run, from suppliers' files to published tables; ``pipeline`` holds the order of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from e2analytics.ingest.read_drop import Sources
    from e2analytics.settings import Settings
    from e2analytics.tables.snapshot import Outputs


def run(sources: Sources, settings: Settings, **options: Any) -> Outputs:
    """Run every stage on ``sources``: :func:`e2analytics.run.pipeline.run`, imported when it is called."""
    from e2analytics.run import pipeline

    return pipeline.run(sources, settings, **options)
