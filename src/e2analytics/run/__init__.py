"""One run, from suppliers' files to published tables; ``pipeline`` holds the order of everything.

``e2analytics.run`` is a package and, for ``from e2analytics import run``, a function: the package's
``__init__`` offers the function, and importing it loads no step of a run.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2analytics.ingest.read_drop import Sources
    from e2analytics.run.timing import StepWrapper
    from e2analytics.settings import Settings
    from e2analytics.tables.snapshot import Outputs, Snapshot
    from e2analytics.tables.vocabulary import Scope


# Nine parameters: the door of the library takes by keyword what a ``Run`` is made of.
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
    """Run every step on ``sources`` and the published state ``before``; publish nothing.

    Parameters
    ----------
    sources
        What a drop brought.
    settings
        All that a clinic may choose.
    as_of
        The day that the run describes: it keeps later events and does not use them.
    before
        The published state that the sources add to.
    run_id
        Name of this run.
    scope
        ``ingest`` stops after the rows are taken in; anything else does the rest as well.
    refit
        Fit anew, though a model of this month exists.
    adopt
        Reason for which the fitted limit is adopted.
    wrap
        Wraps every step.

    Raises
    ------
    ContractError
        If a table does not keep its contract: a defect of e2analytics.
    TooLittleDataError
        If ``adopt`` finds no limit that may be adopted.
    """
    from e2analytics.run.frames import Run
    from e2analytics.run.pipeline import run_steps
    from e2analytics.run.timing import unwrapped
    from e2analytics.tables.snapshot import Snapshot

    asked = Run(
        as_of=as_of, settings=settings, run_id=run_id, scope=scope, refit=refit, adopt=adopt
    )
    known = before or Snapshot()
    return run_steps(sources, known, asked, wrap or unwrapped).after(known)
