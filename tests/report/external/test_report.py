"""The version that leaves the clinic: no man, no name, no count of few, whatever the data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import openpyxl
import polars as pl
import pytest

from e2analytics.report.external.report import ExternalReport, release_reports
from e2analytics.report.formats import render
from e2analytics.report.formats.document import all_text, read_page
from e2analytics.report.formats.html import render_external
from e2analytics.tables import registry

Tables = dict[str, pl.DataFrame]
MONTH = "2026-09"
OF_DEMONSTRATION = ("curve", "curve_summary", "measures")


def without(tables: Tables, *names: str) -> Tables:
    return {**tables, **{name: registry.TABLES[name].empty() for name in names}}


def reports_of(tables: Tables, base: int = 5) -> tuple[ExternalReport, ...]:
    return release_reports(tables, month=MONTH, base=base)


def page_of(tables: Tables) -> str:
    return render_external(reports_of(tables)[0])


@pytest.fixture(scope="module")
def reports(tables: Tables) -> tuple[ExternalReport, ...]:
    return reports_of(tables)


@pytest.fixture(scope="module")
def pages(reports: tuple[ExternalReport, ...]) -> list[str]:
    return [render_external(report) for report in reports]


def test_there_is_one_of_all_clinics_and_one_of_each(reports: tuple[ExternalReport, ...]):
    assert [report.clinic for report in reports] == [None, "central", "harbour", "north"]


def test_no_man_and_no_file_is_in_it(pages: list[str], tables: Tables):
    names = [
        *tables["patients"]["patient_id"],
        *tables["files"]["source_file"],
        *tables["patients"]["birth_date"].dt.to_string().unique(),
    ]
    for page in pages:
        assert [name for name in names if name in page] == []


def test_a_refused_file_is_told_without_its_name_and_without_a_count_below_none(tables: Tables):
    page = page_of(without(tables, "exposures"))

    assert "Incomplete: 1 file of this run could not be used as a whole" in page
    assert "not sent again" not in page


def test_of_a_single_clinic_the_year_is_told_where_its_months_are_not(pages: list[str]):
    network, *clinics = pages
    assert "By month, all clinics." in network
    for page in clinics:
        assert page.count("Single months of a clinic are not shown") == 1
        assert "No chart of months" not in page
        assert "No chart signals" not in page
        assert "October 2025 to September 2026" in page


def test_settings_that_name_patients_or_scanners_stay_inside(tables: Tables):
    run = tables["runs"].with_columns(
        settings=pl.lit('{"identities_settled": ["p123"], "link": {"min_draws": 2}, "fit": {}}')
    )

    page = page_of({**without(tables, *OF_DEMONSTRATION), "runs": run})

    assert "p123" not in page
    assert "identities_settled" not in page


COUNTED = re.compile(
    r"\b[Mm]en\b|■|▲|●|inhibitor|Assessed|flag|by the drug|pairs|Usable|Losses|Met$|^Of "
)


def counts_in(report: ExternalReport, page: str) -> Iterator[str]:
    """Yield what stands in columns of counts, and every count in a sentence."""
    document = read_page(page)
    for _, table in document.tables:
        names = [cell.text for cell in table.head[-1]]
        for row in table.body:
            # A row that says why it is hidden has fewer cells.
            named = zip(names, row, strict=False) if len(row) == len(names) else ()
            yield from (cell.text for name, cell in named if COUNTED.search(name))
            for cell in row:
                for part_and_whole in re.findall(r"\b([\d,]+)(?: of |/)([\d,]+)\b", cell.text):
                    yield from part_and_whole
    for headline in report.headlines[:2]:
        yield from re.findall(r": ([\d,]+)(?=[;.]|$)", f"{headline.title}. {headline.sentence}")
    said = " ".join(all_text(document))
    yield from re.findall(
        r"(?<!1 to )\b([\d,]+) (?:men|man|flags?|usable|scan pairs?|exact)\b", said
    )


def test_no_count_of_1_to_10_is_printed_anywhere(
    reports: tuple[ExternalReport, ...], pages: list[str]
):
    said = [n for report, page in zip(reports, pages, strict=True) for n in counts_in(report, page)]

    counts = [int(number.replace(",", "")) for number in said if re.fullmatch(r"[\d,]+", number)]
    assert len(counts) > 50
    assert [count for count in counts if 1 <= count <= 10] == []


def test_counts_are_multiples_of_the_base(tables: Tables):
    for report in reports_of(without(tables, *OF_DEMONSTRATION), base=10):
        for line in report.men.lines(report.clinic):
            assert line.men == "hidden" or int(line.men.replace(",", "")) % 10 == 0


def test_shares_are_of_what_is_shown(reports: tuple[ExternalReport, ...]):
    for report in reports:
        lines = {line.name: line for line in report.men.lines(report.clinic)}
        known, on_drug = lines["Men known"], lines["On an aromatase inhibitor"]
        share = 100 * int(on_drug.men) / int(known.men)
        assert on_drug.share == f"{share:.0f} %"
        assert all(line.share in ("hidden", "") for line in lines.values() if line.men == "hidden")


def test_the_workbook_says_what_the_page_says(reports: tuple[ExternalReport, ...]):
    files = render.render(reports[1])
    book = openpyxl.load_workbook(BytesIO(files[".xlsx"]))

    sheet = next(sheet for sheet in book if sheet.title.startswith("01 Men"))
    rows: list[tuple[Any, ...]] = list(sheet.iter_rows(min_row=2, values_only=True))
    for row, line in zip(rows, reports[1].men.lines("central"), strict=True):
        assert row[0] == line.name
        said = "hidden" if row[1] == "hidden" else f"{row[1]:,}"
        assert said == line.men


def test_where_all_counts_are_small_it_says_so(tables: Tables):
    few = tables["patients"].head(7)
    men = pl.col("patient_id").is_in(few["patient_id"].to_list())
    small = {name: tables[name].filter(men) for name in ("cohort", "flags")}

    page = page_of({**without(tables, *OF_DEMONSTRATION, "exposures"), **small, "patients": few})

    assert "All counts are hidden: too few men" in page


def test_of_one_man_nothing_is_told(tables: Tables):
    cohort = tables["cohort"].filter(pl.col("tier") != "none").head(1)
    one = pl.col("patient_id") == cohort["patient_id"][0]
    alone = {
        "patients": tables["patients"].filter(one),
        "cohort": cohort,
        "flags": tables["flags"].filter(one),
        "exposures": tables["exposures"].filter(one),
    }

    reports = reports_of({**without(tables, *OF_DEMONSTRATION), **alone})

    for report in reports:
        assert {line.men for line in report.men.lines(report.clinic)} <= {"hidden", "0"}
        assert {site.n_pairs for site in report.curves.sites} <= {"hidden", "0"}
        assert {site.e2 for site in report.curves.sites} <= {"hidden"}


def test_without_any_data_there_is_a_page_that_says_so(tables: Tables):
    nothing = without(tables, *(name for name in tables if name != "runs"))

    page = page_of(nothing)

    assert "No man is known" in page
    assert render.render(reports_of(nothing)[0])[".pdf"].startswith(b"%PDF")


def test_a_curve_shows_no_point_that_few_men_stand_behind(tables: Tables):
    curve = tables["curve"].with_columns(
        n_effective=pl.when(pl.col("n_effective") < 60).then(7).otherwise("n_effective")
    )

    report = reports_of({**without(tables, "measures"), "curve": curve})[0]

    assert report.curves.primary is not None
    assert min(point.n_effective for point in report.curves.primary.points) >= 60


def test_a_reason_that_tells_how_few_is_not_told(tables: Tables):
    summary = tables["curve_summary"].with_columns(why_not=pl.lit("only 7 men have two scans"))

    page = page_of({**without(tables, "measures"), "curve_summary": summary})

    assert "7 men" not in page
    assert "too few men" in page


def test_last_months_curve_is_released_by_the_rules_of_this_months(tables: Tables):
    few = pl.when(pl.col("e2_pg_ml") < 20).then(7).otherwise("n_effective")
    before = {
        "curve": tables["curve"].with_columns(
            pl.col("estimate") - 0.3, n_effective=few.cast(pl.Int64), supported=pl.lit(True)
        ),
        "curve_summary": tables["curve_summary"].with_columns(
            n_patients=pl.lit(317), n_intervals=pl.lit(322), model_id=pl.lit("model-2026-08")
        ),
    }

    curves = release_reports(tables, month=MONTH, base=5, before=before)[0].curves

    assert curves.primary is not None
    assert min(point.e2_pg_ml for point in curves.primary.before) >= 20
    now, then = curves.months.rows
    assert (now.n_men, now.n_pairs) == ("340", "340")
    assert (then.n_men, then.n_pairs) == ("315", "320")
