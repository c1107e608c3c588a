"""One run, from suppliers' files to published tables; ``pipeline`` holds the order of everything.

``e2analytics.run`` is a package and, for ``from e2analytics import run``, a function: the package's
``__init__`` offers the function, and importing it loads no step of a run.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2analytics.ingest.read_drop import Sources
    from e2analytics.run.frames import Scope
    from e2analytics.run.timing import StepWrapper
    from e2analytics.settings import Settings
    from e2analytics.tables.snapshot import Outputs, Snapshot


def run(
    sources: Sources,
    settings: Settings,
    *,
    as_of: date,
    before: Snapshot | None = None,
    run_id: str = "run-000001",
    scope: Scope = "all",
    refit: bool = False,
    adopt: str | None = None,
    wrap: StepWrapper | None = None,
) -> Outputs:
    """Run every step on ``sources``: :func:`e2analytics.run.pipeline.run`, which is imported when called.

    Nine parameters: the door of the library takes by keyword what a run is made of.
    """
    from e2analytics.run import pipeline
    from e2analytics.run.timing import unwrapped

    return pipeline.run(
        sources,
        settings,
        as_of=as_of,
        before=before,
        run_id=run_id,
        scope=scope,
        refit=refit,
        adopt=adopt,
        wrap=wrap or unwrapped,
    )
