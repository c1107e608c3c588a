"""The steps of a run: functions of frames and a ``Run``, in the order of the pipeline.

The packages do the work; a step connects them. ``STEPS`` names the steps for progress bars; the name of
its function is also a step's name in timings and in Prefect. A step imports what needs scipy when it
runs: a command that only ingests does not wait for it.
"""

# ruff: noqa: I001 - in the order of the pipeline: a step is registered when its module is imported
from e2analytics.run.steps.registry import STEPS
from e2analytics.run.steps.intake import find_men, key_of, read, snapshot, sum_intake, take_in
from e2analytics.run.steps.exposure import (
    as_of_view,
    link,
    link_all,
    look_across,
    look_back,
    measure_exposure,
    respond_to_dose,
    sum_clinics,
)
from e2analytics.run.steps.curves import fit, follow_up, measure_for_curves, sensitivity
from e2analytics.run.steps.answers import (
    account_for,
    count_measures,
    find_care,
    flag_men,
    leave_state,
    sum_men,
)
from e2analytics.run.steps.publishing import grade, keep_crosswalk, publish

__all__ = [
    "STEPS",
    "account_for",
    "as_of_view",
    "count_measures",
    "find_care",
    "find_men",
    "fit",
    "flag_men",
    "follow_up",
    "grade",
    "keep_crosswalk",
    "key_of",
    "leave_state",
    "link",
    "link_all",
    "look_across",
    "look_back",
    "measure_exposure",
    "measure_for_curves",
    "publish",
    "read",
    "respond_to_dose",
    "sensitivity",
    "snapshot",
    "sum_clinics",
    "sum_intake",
    "sum_men",
    "take_in",
]
