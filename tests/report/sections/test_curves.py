"""What is said of the curve, and above all what is not."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from e2analytics.reference.constants import DEFAULT_LOWER_LIMIT_E2
from e2analytics.report.sections import curves
from e2analytics.report.sections.curve_wording import CHANGE, LEVEL, RISK
from e2analytics.settings import FlagSettings
from e2analytics.tables import registry, vocabulary

Tables = dict[str, pl.DataFrame]
SPINE = (pl.col("site") == "lumbar_spine") & (pl.col("outcome") == CHANGE)


def describe(
    tables: Tables,
    *,
    primary_site: str = "lumbar_spine",
    before: Tables | None = None,
    **rules: float,
) -> curves.Curves:
    return curves.describe(
        tables, primary_site=primary_site, rules=FlagSettings(**rules), before=before
    )


def with_summary(tables: Tables, **changes: Any) -> Tables:
    """The tables with the primary summary's columns changed."""
    summary = tables["curve_summary"]
    changed = summary.with_columns(
        pl.when(SPINE).then(pl.lit(value, dtype=summary.schema[name])).otherwise(name).alias(name)
        for name, value in changes.items()
    )
    return {**tables, "curve_summary": changed}


def primary(tables: Tables) -> curves.Curve:
    found = describe(tables).primary
    assert found is not None
    return found


def test_the_curve_chosen_beforehand_is_shown_first_and_the_others_after_it(tables: Tables) -> None:
    found = describe(tables)
    titles = [curve.title for curve in found.others]
    assert found.primary is not None
    assert found.primary.title == "Lumbar spine, BMD change, % per year"
    assert titles[0].startswith("Femoral neck, BMD change")
    assert titles[-1].startswith("Lumbar spine, risk")
    hip = describe(tables, primary_site="total_hip").primary
    assert hip is not None
    assert hip.title.startswith("Total hip")


def test_a_supported_limit_is_proposed_until_it_is_adopted(tables: Tables) -> None:
    supported = with_summary(tables, supported=True, why_not=None)
    none_adopted = {**supported, "limits": supported["limits"].clear()}

    said = "Fitted lower limit 17.2 pg/mL (95 % interval 14.1 to 20.6)"
    assert primary(none_adopted).limit_sentence == (
        f"{said}, proposed: not in use until a decision adopts it."
    )
    assert primary(supported).limit_sentence == f"{said}, in use."


def test_a_supported_limit_outside_the_permitted_range_is_not_settled(
    tables: Tables,
) -> None:
    high = {"lower_limit_pg_ml": 36.3, "lower_limit_ci_low": 15.6, "lower_limit_ci_high": 49.4}

    said = primary(with_summary(tables, supported=True, why_not=None, **high)).limit_sentence

    assert said == (
        "Fitted lower limit 36.3 pg/mL (95 % interval 15.6 to 49.4). Not settled: the limit lies outside "
        "10 to 30 pg/mL."
    )


@pytest.mark.parametrize(
    ("greatest_limit_pg_ml", "is_said"), [(17.1, True), (17.2, False), (30.0, False)]
)
def test_the_range_that_is_permitted_is_the_one_of_the_settings(
    tables: Tables, greatest_limit_pg_ml: float, is_said: bool
) -> None:
    exact = with_summary(tables, supported=True, why_not=None, lower_limit_pg_ml=17.2)

    found = describe(exact, greatest_limit_pg_ml=greatest_limit_pg_ml).primary

    assert found is not None
    assert (f"outside 10 to {greatest_limit_pg_ml} pg/mL" in found.limit_sentence) == is_said


def test_of_a_curve_that_never_gives_flags_their_limit_no_range_is_said(tables: Tables) -> None:
    high = with_summary(tables, supported=True, why_not=None, lower_limit_pg_ml=36.3)

    hip_is_primary = describe(high, primary_site="total_hip")

    spine = next(
        curve for curve in hip_is_primary.others if curve.title.startswith("Lumbar spine, BMD")
    )
    assert spine.limit_sentence == "Fitted lower limit 36.3 pg/mL (95 % interval 14.1 to 20.6)."


def test_a_limit_that_too_few_resamples_have_is_not_proposed(tables: Tables) -> None:
    said = primary(with_summary(tables, why_not=None)).limit_sentence
    assert said.endswith(
        "not supported and so not proposed: it was found in only 84 % of resampled cohorts."
    )


@pytest.mark.parametrize(
    ("why_not", "said"),
    [
        (
            "the verdict is rising: no harm at low E2 with a bend is shown",
            "No lower limit could be fitted: bone loss does not level off within these data.",
        ),
        (
            "the lowest supported E2 is not worse than best by delta.",
            "No lower limit could be fitted: the lowest supported E2 is not worse than best by delta.",
        ),
    ],
)
def test_why_there_is_no_limit_is_said_in_words(tables: Tables, why_not: str, said: str) -> None:
    rising = with_summary(tables, lower_limit_pg_ml=None, verdict="rising", why_not=why_not)
    assert primary(rising).limit_sentence == said


def test_nothing_is_read_off_the_curve_where_it_is_not_supported(tables: Tables) -> None:
    supported = tables["curve"].filter(SPINE & pl.col("supported"))["e2_pg_ml"]
    read = [float(row.e2) for row in primary(tables).table]
    assert read == sorted(set(read))
    assert supported.min() - 0.05 <= read[0] <= read[-1] <= supported.max() + 0.05  # type: ignore[operator]


def test_a_curve_without_any_support_has_no_table_and_says_so(tables: Tables) -> None:
    nowhere = {**tables, "curve": tables["curve"].with_columns(supported=pl.lit(False))}
    found = primary(nowhere)
    assert found.table == ()
    assert "No part of the curve has enough men" in found.alt


def test_risks_are_shown_in_per_cent(tables: Tables) -> None:
    risk = describe(tables).others[-1]
    estimates = tables["curve"].filter(pl.col("outcome") == RISK)["estimate"]
    assert [point.estimate for point in risk.points] == pytest.approx((100 * estimates).to_list())


def test_a_cross_sectional_curve_stands_in_and_gives_no_limit(tables: Tables) -> None:
    level = pl.lit(LEVEL).alias("outcome")
    levels = {
        **tables,
        "curve": tables["curve"].filter(SPINE).with_columns(level),
        "curve_summary": tables["curve_summary"].filter(SPINE).with_columns(level),
    }

    found = describe(levels)

    assert found.cross_sectional
    assert found.primary is not None
    assert "cross-sectional" in found.primary.title
    assert found.primary.fitted_limit_pg_ml is None
    assert found.primary.verdict == "Lower BMD at low E2, then a plateau"
    assert "gives no limit" in found.primary.limit_sentence


def test_a_curve_that_was_not_fitted_says_why(tables: Tables) -> None:
    few = with_summary(tables, verdict=None, why_not="12 men, 30 are the least")
    unfitted = {**few, "curve": registry.TABLES["curve"].empty()}

    found = describe(unfitted)

    assert found.primary is None
    assert found.why_none == (
        "Lumbar spine, BMD change, % per year was not fitted: 12 men, 30 are the least."
    )
    assert found.others == ()


def test_the_limit_in_use_is_that_of_the_literature_with_its_source(tables: Tables) -> None:
    limit = describe(tables).limit
    assert limit.lower_limit_pg_ml == 16.0
    assert DEFAULT_LOWER_LIMIT_E2.source in limit.sentence


def test_a_limit_that_the_clinic_set_is_not_given_a_source_that_is_not_its_own(
    tables: Tables,
) -> None:
    empty = {name: registry.TABLES[name].empty() for name in ("cohort", "limits")}
    limit = describe({**tables, **empty}, literature_limit_pg_ml=18.0).limit
    assert limit.sentence == "The lower limit in use is 18 pg/mL, set by the clinic."


def test_a_fitted_limit_in_use_says_since_when(tables: Tables) -> None:
    fitted = pl.lit("fitted")
    limits = tables["limits"].with_columns(source=fitted, limit_ci_low=14.0, limit_ci_high=19.5)
    cohort = tables["cohort"].with_columns(limit_source=fitted)
    limit = describe({**tables, "limits": limits, "cohort": cohort}).limit
    assert limit.sentence == (
        "The lower limit in use is 16 pg/mL, fitted to this store's own data, "
        "95 % interval 14.0 to 19.5, in use since 30 June 2026."
    )


def test_what_the_curves_rest_on_is_counted_from_usable_pairs(tables: Tables) -> None:
    spine = describe(tables).sites[0]
    pairs = tables["exposures"].filter(pl.col("site") == "lumbar_spine")
    usable = pairs.filter("usable")
    assert (spine.n_pairs, spine.n_usable) == (f"{pairs.height:,}", f"{usable.height:,}")
    assert spine.n_men == f"{usable['patient_id'].n_unique():,}"


def test_no_scan_pairs_at_all_leave_no_row() -> None:
    frames = {
        name: registry.TABLES[name].empty()
        for name in (
            *("curve", "curve_summary", "exposures", "limits", "cohort"),
            *("curve_sensitivity", "prescribing"),
        )
    }
    found = describe(frames)
    assert found.sites == ()
    assert found.why_none.endswith("was not fitted: there is no usable scan pair yet.")


@pytest.mark.parametrize("verdict", [*vocabulary.VERDICTS, None])
def test_every_verdict_has_words(tables: Tables, verdict: str | None) -> None:
    said = primary(with_summary(tables, verdict=verdict)).verdict
    assert said[0].isupper()
    assert "{" not in said
    assert "_" not in said


def test_a_curve_without_a_summary_is_shown_without_a_verdict(tables: Tables) -> None:
    found = primary({**tables, "curve_summary": registry.TABLES["curve_summary"].empty()})
    assert found.verdict == "No verdict"
    assert found.limit_sentence == "No lower limit could be fitted: no reason given."
    assert found.data_sentence == ""


def test_a_limit_fitted_and_not_on_record_still_says_that_it_was_fitted(tables: Tables) -> None:
    cohort = tables["cohort"].with_columns(limit_source=pl.lit("fitted"))
    limit = describe({**tables, "cohort": cohort}).limit
    assert limit.sentence.endswith("is 16 pg/mL, fitted to this store's own data.")


def test_before_anyone_is_on_the_drug_the_adopted_limit_is_in_use(tables: Tables) -> None:
    limits = tables["limits"].with_columns(lower_limit_pg_ml=18.5, source=pl.lit("fitted"))
    nobody = registry.TABLES["cohort"].empty()
    assert describe({**tables, "limits": limits, "cohort": nobody}).limit.lower_limit_pg_ml == 18.5


def a_month_ago(tables: Tables, **changes: Any) -> Tables:
    """The curves of another model, lower by 0.3, resting on fewer men."""
    fewer = {"model_id": "model-2026-08", "n_patients": 321, "n_intervals": 322, **changes}
    lower = tables["curve"].with_columns(pl.col("estimate") - 0.3)
    return {**with_summary(tables, **fewer), "curve": lower}


def test_last_months_curve_is_drawn_where_it_was_supported_and_read_aloud(tables: Tables) -> None:
    found = describe(tables, before=a_month_ago(tables)).primary
    assert found is not None
    supported = tables["curve"].filter(SPINE & pl.col("supported")).sort("e2_pg_ml")
    assert [point.estimate for point in found.before] == (supported["estimate"] - 0.3).to_list()
    assert "Thin dashed line, last month's estimate: " in found.alt


def test_the_two_months_stand_beside_each_other(tables: Tables) -> None:
    months = describe(tables, before=a_month_ago(tables, lower_limit_pg_ml=15.0)).months
    now, then = months.rows
    assert months.title == "Lumbar spine, BMD change, % per year"
    assert now.lower_limit == "17.2 (14.1 to 20.6), not supported"
    assert then.lower_limit == "15.0 (14.1 to 20.6), not supported"
    assert (now.n_men, now.n_pairs, now.model) == ("338", "341", "model-2026-09")
    assert (then.n_men, then.n_pairs, then.model) == ("321", "322", "model-2026-08")
    assert now.upper_limit == then.upper_limit == "–"


def test_a_limit_of_last_month_outside_the_permitted_range_says_so_in_the_table(
    tables: Tables,
) -> None:
    now = with_summary(tables, supported=True, why_not=None)
    then = with_summary(now, model_id="model-2026-08", lower_limit_pg_ml=36.3)

    rows = describe(now, before=then).months.rows

    assert [row.lower_limit for row in rows] == [
        "17.2 (14.1 to 20.6)",
        "36.3 (14.1 to 20.6), not settled",
    ]


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ({"model_id": "model-2026-09"}, "Same model as last month: nothing was fitted anew."),
        ({}, "Fitted anew. The verdict is the same. The lower limit is the same, 17.2 pg/mL."),
        (
            {"lower_limit_pg_ml": 15.0},
            "Fitted anew. The verdict is the same. The lower limit went from 15.0 to 17.2 pg/mL, "
            "within the 95 % interval of last month.",
        ),
        (
            {"lower_limit_pg_ml": 13.0, "lower_limit_ci_low": 11.0, "lower_limit_ci_high": 17.0},
            "Fitted anew. The verdict is the same. The lower limit went from 13.0 to 17.2 pg/mL, "
            "outside the 95 % interval of last month.",
        ),
        (
            {"verdict": "inconclusive", "lower_limit_pg_ml": None},
            "Fitted anew. The verdict was “Inconclusive: these data do not settle the shape” and is "
            "“Faster bone loss at low E2, then a plateau”. A lower limit was found, 17.2 pg/mL, and "
            "none last month.",
        ),
        ({"verdict": None}, "Fitted this month, and not last."),
    ],
)
def test_what_changed_since_last_month_is_said_in_words(
    tables: Tables, then: dict[str, Any], said: str
) -> None:
    assert describe(tables, before=a_month_ago(tables, **then)).months.sentence == said


def test_a_limit_that_is_lost_and_a_curve_that_is_lost_are_said(tables: Tables) -> None:
    lost = with_summary(tables, lower_limit_pg_ml=None, model_id="model-2026-10")
    assert describe(lost, before=tables).months.sentence.endswith(
        "No lower limit was found; last month it was 17.2 pg/mL."
    )
    unfitted = with_summary(tables, verdict=None)
    months = describe(unfitted, before=tables).months
    assert months.sentence == "Fitted last month, and not this."
    assert (months.rows[0].verdict, months.rows[0].n_men) == ("Not fitted", "–")
    never = describe(unfitted, before=unfitted).months
    assert (never.sentence, never.rows) == (
        "Not fitted this month, nor last: nothing to compare.",
        (),
    )


def test_the_same_curve_is_not_drawn_twice(tables: Tables) -> None:
    found = describe(tables, before=tables).primary
    assert found is not None
    assert found.before == ()
    assert "last month" not in found.alt


def test_without_a_month_before_there_is_nothing_to_compare(tables: Tables) -> None:
    months = describe(tables).months
    assert months.sentence == "No report of the month before: nothing to compare."
    assert months.rows == ()
