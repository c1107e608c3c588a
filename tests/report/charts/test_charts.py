"""The pictures: the same bytes each time, and nothing claimed where nothing is known."""

from __future__ import annotations

import re
from dataclasses import replace

import polars as pl
import pytest

from e2analytics.report.charts import curve as charts
from e2analytics.report.content import Report, build
from e2analytics.report.sections.curve_wording import LEVEL
from e2analytics.report.sections.curves import Curve, Limit, Point


@pytest.fixture(scope="module")
def report(tables: dict[str, pl.DataFrame]) -> Report:
    return build(tables, month="2026-09")


@pytest.fixture(scope="module")
def curve(report: Report) -> Curve:
    assert report.curves.primary is not None
    return report.curves.primary


@pytest.fixture(scope="module")
def limit(report: Report) -> Limit:
    return report.curves.limit


def points(*supported: bool) -> tuple[Point, ...]:
    return tuple(
        Point(10.0 + place, -1.0, -2.0, 0.0, -3.0, 1.0, 50, known)
        for place, known in enumerate(supported)
    )


def course(*supported: bool) -> charts.Course:
    return charts.Course(points(*supported), low=9.0, high=10.0 + len(supported))


NO_CLAIM = ("too few", "men:", "no claim")
"""What the grey ground says, line by line."""


def words_of(svg: str) -> list[str]:
    return re.findall(r"<t(?:ext|span)[^>]*>([^<]+)</", svg)


def test_a_picture_is_the_same_bytes_each_time(curve: Curve, limit: Limit) -> None:
    first, second = (charts.main_svg(curve, limit) for _ in range(2))
    assert first == second


def test_two_pictures_share_no_ids(report: Report, curve: Curve, limit: Limit) -> None:
    pictures = [charts.main_svg(curve, limit)]
    pictures += [charts.small_svg(other, limit) for other in report.curves.others]
    ids = [name for svg in pictures for name in set(re.findall(r'id="([^"]+)"', svg))]
    assert len(ids) == len(set(ids)) > 0
    for svg in pictures:
        used = set(re.findall(r"url\(#([^)]+)\)", svg))
        assert used == set(re.findall(r'id="([^"]+)"', svg))


def test_limits_are_labelled_in_words_and_the_axes_carry_units(curve: Curve, limit: Limit) -> None:
    words = words_of(charts.main_svg(curve, limit))
    for expected in (
        "red line 10",
        "limit in use 16",
        "fitted limit 17.2 (95 %: 14.1 to 20.6)",
        "E2, pg/mL (log axis)",
        "BMD change, %/year",
        *NO_CLAIM,
    ):
        assert expected in words


def test_a_cross_sectional_curve_is_not_judged_by_a_limit(curve: Curve, limit: Limit) -> None:
    words = words_of(charts.main_svg(replace(curve, outcome=LEVEL), limit))
    assert not [word for word in words if "limit" in word or "red line" in word]


def test_the_red_line_is_shown_even_where_the_curve_does_not_reach_it(
    curve: Curve, limit: Limit
) -> None:
    high = replace(curve, points=tuple(p for p in curve.points if p.e2_pg_ml > 14))
    shown = charts.Course.of(high, limit)
    assert shown.low < limit.red_line_pg_ml
    assert "red line 10" in words_of(charts.main_svg(high, limit))


def test_a_limit_outside_the_picture_is_not_drawn(curve: Curve, limit: Limit) -> None:
    words = words_of(charts.main_svg(curve, replace(limit, lower_limit_pg_ml=200.0)))
    assert "limit in use 200" not in words


def test_a_fitted_limit_without_an_interval_is_drawn(curve: Curve, limit: Limit) -> None:
    words = words_of(charts.main_svg(replace(curve, fitted_limit_ci_pg_ml=None), limit))
    assert "fitted limit 17.2" in words


def test_a_curve_without_a_fitted_limit_names_none(curve: Curve, limit: Limit) -> None:
    words = words_of(charts.main_svg(replace(curve, fitted_limit_pg_ml=None), limit))
    assert not [word for word in words if word.startswith("fitted limit")]


def test_the_label_of_a_high_limit_stays_in_the_picture(curve: Curve, limit: Limit) -> None:
    high = replace(curve, fitted_limit_pg_ml=60.0, fitted_limit_ci_pg_ml=(45.0, 300.0))
    svg = charts.main_svg(high, limit)
    label = re.search(r"<text ([^>]*)>fitted limit 60.0", svg)
    assert label is not None
    assert 'text-anchor="end"' in label[1]


@pytest.mark.parametrize(
    ("low", "limit_pg_ml", "high", "spot"),
    [
        # Lines stand at 10 and 16 of an axis from 9 to 90: nothing strikes a label to the right of 18,
        (14.0, 16.0, 18.0, ("high", "left", False)),
        # it would leave the picture to the right of 60, and is free to the left of 40,
        (40.0, 50.0, 60.0, ("low", "right", False)),
        # to the left of 20 the limit in use would strike it: above, where the middle is free,
        (20.0, 40.0, 60.0, ("e2_pg_ml", "right", True)),
        # or where it is free on the other side.
        (20.0, 30.0, 60.0, ("e2_pg_ml", "left", True)),
    ],
)
def test_no_line_strikes_the_label_of_the_fitted_limit(
    low: float, limit_pg_ml: float, high: float, spot: tuple[str, str, bool]
) -> None:
    axis = charts.Course((), low=9.0, high=90.0)
    ends = {"low": low, "e2_pg_ml": limit_pg_ml, "high": high}
    assert charts._free_spot(axis, ends, (10.0, 16.0)) == spot


def test_the_words_on_the_grey_ground_stand_clear_of_the_red_line(limit: Limit) -> None:
    assert limit.red_line_pg_ml == 10.0
    near, far = (
        (Point(e2, *[0.0] * 5, 50, True), Point(80.0, *[0.0] * 5, 50, True)) for e2 in (11, 13)
    )
    assert not charts._words_on_ground(charts.Course(near, low=8.0, high=80.0), limit)
    assert charts._words_on_ground(charts.Course(far, low=8.0, high=80.0), limit)


def test_small_pictures_of_levels_carry_no_line_to_be_judged_by(curve: Curve, limit: Limit) -> None:
    assert charts.VERMILLION in charts.small_svg(curve, limit)
    assert charts.VERMILLION not in charts.small_svg(replace(curve, outcome=LEVEL), limit)


def test_last_months_line_is_black_thin_and_dashed(curve: Curve, limit: Limit) -> None:
    dashes = 'stroke-dasharray="6,3"'
    before = tuple(replace(p, estimate=p.estimate - 9) for p in curve.points if p.supported)
    assert dashes in charts.main_svg(replace(curve, before=before), limit)
    assert dashes not in charts.main_svg(curve, limit)
    assert charts.y_domain(curve.points, before)[0] < min(p.estimate for p in before)


def test_a_curve_without_any_support_is_drawn(curve: Curve, limit: Limit) -> None:
    nowhere = tuple(replace(point, supported=False) for point in curve.points)
    svg = charts.main_svg(replace(curve, points=nowhere), limit)
    assert {*NO_CLAIM} <= {*words_of(svg)}
    assert charts.BLUE not in svg


@pytest.mark.parametrize(
    ("supported", "spans"),
    [
        ((True, True), [(9.0, 10.0), (11.0, 12.0)]),
        ((False, True, True), [(9.0, 11.0), (12.0, 13.0)]),
        ((True, False, True), [(9.0, 10.0), (10.0, 12.0), (12.0, 13.0)]),
        ((False, False), [(9.0, 12.0)]),
        ((False, True, False), [(9.0, 11.0), (11.0, 13.0)]),
    ],
)
def test_the_ground_is_grey_between_supported_points_that_are_not_neighbours(
    supported: tuple[bool, ...], spans: list[tuple[float, float]]
) -> None:
    assert course(*supported).unsupported == spans


def test_the_picture_spans_what_is_claimed() -> None:
    low, high = charts.y_domain(points(True, True))
    assert low < -3.0 < 1.0 < high
    low, high = charts.y_domain(points(False, False))
    assert low < -1.0 < high
