"""Find the men on testosterone whose anastrozole pushes estradiol below a bone-protective range.

The same stages that the nightly flow runs, without Prefect and without a store::

    from e2analytics import Settings, Sources, run

    outputs = run(Sources.from_drop(folder, load_feeds(), key), Settings(), as_of=date(2026, 9, 30))
    outputs.tables["cohort"]
"""

from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.drop import Sources
from e2analytics.models.regressor import SweetSpotRegressor
from e2analytics.pipeline import Outputs, run
from e2analytics.settings import Settings

__all__ = ["Outputs", "Settings", "Sources", "SweetSpotRegressor", "load_feeds", "run"]
