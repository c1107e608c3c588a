"""The order of the stages, once. Pure: frames in, frames out; ``store`` keeps them, ``flows`` time them.

::

    sources -> taken_in -> seen -> linked -> responded -> exposed -> fitted -> flagged
            -> measured -> accounted -> Outputs

``analysis`` holds all that comes after ``taken_in``.
"""

from __future__ import annotations

from datetime import date

from e2analytics.ingest import quality
from e2analytics.ingest.read_drop import Sources
from e2analytics.ingest.take_in import counts_of_rows, take_in
from e2analytics.run import attrition
from e2analytics.run.timing import Clock, Step, as_is
from e2analytics.settings import Settings
from e2analytics.tables.check import check
from e2analytics.tables.registry import DERIVED, TABLES
from e2analytics.tables.snapshot import Outputs, Snapshot


def run(
    sources: Sources,
    settings: Settings,
    *,
    as_of: date,
    before: Snapshot | None = None,
    run_id: str = "run-000001",
    part: str = "all",
    refit: bool = False,
    adopt: str | None = None,
    step: Step = as_is,
) -> Outputs:
    """Run every stage on ``sources``, on top of what was known before.

    Parameters
    ----------
    sources
        What a drop brought.
    settings
        All that a clinic may choose.
    as_of
        The day on which everything is judged; later events are kept and not seen.
    before
        The published state that the sources add to.
    run_id
        Name of this run.
    part
        ``ingest`` stops after the rows are taken in; anything else does the rest too.
    refit
        Fit anew, though a model of this month is there.
    adopt
        Reason for which the fitted limit is taken into use.
    step
        Wraps every stage.

    Raises
    ------
    ContractError
        If a table does not keep its contract: a defect of e2analytics.
    TooLittleDataError
        If ``adopt`` finds no limit that may be taken into use.
    """
    before = before or Snapshot()
    clock = Clock(step)
    taken = clock(take_in)(sources, before, settings, run_id)
    if part == "ingest":
        derived = {name: before.table(name) for name in DERIVED}
        losses = attrition.table(
            run_id, {"rows": (len(taken.lines), attrition.row_losses(taken.lines))}
        )
        counts = counts_of_rows(taken, sources)
        model_id = before.table("models").sort("fitted_as_of")["model_id"].last() or "none"
    else:
        # Not before: reading alone need not wait for what fitting needs.
        from e2analytics.run import analysis

        derived, losses, counts, model_id = analysis.analyse(
            taken,
            before,
            settings,
            as_of=as_of,
            run_id=run_id,
            refit=refit,
            adopt=adopt,
            clock=clock,
        )
        counts = counts_of_rows(taken, sources) | counts
    days = dict(before.table("runs").select("run_id", "as_of").iter_rows()) | {run_id: as_of}
    others = {
        "files": taken.files,
        "quarantine": taken.quarantine,
        "unit_slips": taken.unit_slips,
        "quality": clock(quality.grade)(taken.settled, taken.files, read_on=days),
        "attrition": losses,
        **derived,
    }
    checked = {
        name: check(frame, TABLES[name], table=name, stage="run") for name, frame in others.items()
    }
    return Outputs(
        tables=taken.tables(checked),
        not_accepted=taken.not_accepted(),
        outcome="incomplete" if any(file.refused for file in sources.files) else "complete",
        model_id=str(model_id),
        counts=counts,
        timings=clock.seconds,
    )
