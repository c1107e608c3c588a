"""The run itself, its model and the limit in use."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

from tests.report.builders.common import AS_OF, LIMIT, MODEL_ID, RUN_ID


def run(**changes: Any) -> dict[str, Any]:
    settings = {"timezone": "UTC", "fit": {"primary_site": "lumbar_spine", "n_replicates": 1000}}
    return {
        "run_id": RUN_ID,
        "as_of": AS_OF,
        "started_at": datetime(2026, 10, 1, 2, 0, tzinfo=UTC),
        "finished_at": datetime(2026, 10, 1, 2, 4, tzinfo=UTC),
        "simulated": False,
        "part": "all",
        "outcome": "incomplete",
        "package_version": "0.1.0",
        "model_id": MODEL_ID,
        "inputs": "{}",
        "settings": json.dumps(settings),
        "counts": json.dumps({"men_on_drug_died_or_left": 9, "files_unmatched": 2}),
        "timings": "{}",
        "table_versions": "{}",
        **changes,
    }


def model() -> dict[str, Any]:
    return {
        "model_id": MODEL_ID,
        "fitted_as_of": AS_OF,
        "run_id": RUN_ID,
        "parameters": "{}",
    }


def adopted_limit() -> dict[str, Any]:
    return {
        "adopted_on": date(2026, 6, 30),
        "site": "lumbar_spine",
        "lower_limit_pg_ml": LIMIT,
        "limit_ci_low": None,
        "limit_ci_high": None,
        "source": "literature",
        "model_id": MODEL_ID,
        "reason": "Mellström 2008; no supported fitted limit yet",
    }
