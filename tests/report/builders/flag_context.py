"""What stands around flags: evidence, gaps, context, E2 at other doses."""

from __future__ import annotations

from datetime import date
from typing import Any

from tests.report.builders.common import AS_OF


def flag_context_rows(flagged: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Evidence, gaps, context and projections of the run."""
    man = {name: flagged[0][name] for name in ("patient_id", "clinic_id", "as_of")}
    critical = next(row for row in flagged if row["tier"] == "critical")
    piece = {"patient_id": critical["patient_id"], "as_of": AS_OF}
    return {
        "flag_evidence": [
            {**piece, "position": 0, "piece": "explanation", "words": "In words."},
            *(
                {
                    **piece,
                    "position": place,
                    "piece": "e2_result",
                    "name": "mass spectrometry",
                    "id": f"R{place}",
                    "on": date(2026, place, 1),
                    "value_low": 8.0 + place,
                    "value_high": 8.0 + place,
                    "unit": "pg/mL",
                    "words": "on 1 mg a week",
                    "source_file": "labs-8c1d",
                    "source_line": place,
                }
                for place in range(1, 6)
            ),
            {
                **piece,
                "position": 6,
                "piece": "tier",
                "name": "red_line",
                "words": "critical",
                "source": "Finkelstein 2016",
            },
        ],
        "gaps": [
            {**man, "gap": "no_vitamin_d"},
            {**man, "gap": "low_e2_not_answered", "due_on": date(2026, 8, 12)},
        ],
        "context": [
            {
                **man,
                "testosterone_ng_dl": 612.0,
                "testosterone_on": date(2026, 8, 1),
                "testosterone_usual_ng_dl": 580.4,
                "t_e2_ratio": 51.04,
                "t_e2_on": date(2026, 8, 1),
                "t_e2_assay": "ms",
                "t_e2_earlier_ratio": 44.0,
                "t_e2_earlier_days": 3,
                "t_e2_earlier_from_on": date(2025, 2, 1),
                "lifestyle": "calcium intake 700 mg/day on 2026-03-01, below the 1000 mg recommended for men of his age",
                "bmd_site": "total_hip",
                "bmd_first_on": date(2024, 8, 1),
                "bmd_second_on": date(2026, 8, 1),
                "bmd_change_pct": -6.2,
                "lsc_pct": 5.0,
                "lsc_verdict": "loss",
                "bmd_bone_drugs": "prednisone 20.0 mg a day since 2024-09-15",
                "bone_drugs": "alendronate since 2026-08-20",
            }
        ],
        "projections": [
            {
                "patient_id": man["patient_id"],
                "weekly_anastrozole_mg": dose,
                "e2_pg_ml": e2,
                "e2_ci_low_pg_ml": e2 - 4,
                "e2_ci_high_pg_ml": e2 + 5,
            }
            for dose, e2 in ((0.0, 36.2), (0.5, 18.4))
        ],
    }
