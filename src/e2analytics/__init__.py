"""Find the men on testosterone whose anastrozole pushes estradiol below a bone-protective range.

The same stages that the nightly flow runs, without Prefect and without a store::

    from e2analytics import Settings, Sources, load_feeds, run

    outputs = run(Sources.from_drop(folder, load_feeds(), key), Settings(), as_of=date(2026, 9, 30))
    outputs.tables["cohort"]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# The function takes the name of its package: importers of ``run`` from here want to run.
from e2analytics.run import run

if TYPE_CHECKING:
    from e2analytics.feeds.description import load_feeds
    from e2analytics.ingest.read_drop import Sources
    from e2analytics.models.regressor import SweetSpotRegressor
    from e2analytics.settings import Settings
    from e2analytics.tables.snapshot import Outputs

__all__ = ["Outputs", "Settings", "Sources", "SweetSpotRegressor", "load_feeds", "run"]

_HOME = {
    "Outputs": "tables.snapshot",
    "Settings": "settings",
    "Sources": "ingest.read_drop",
    "SweetSpotRegressor": "models.regressor",
    "load_feeds": "feeds.description",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for: scikit-learn alone takes two seconds that a command need not wait."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
