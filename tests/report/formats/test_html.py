"""The page: one file, inert, accessible, the same bytes, and readable when there is nothing."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from datetime import date
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from e2analytics.report.content import build
from e2analytics.report.formats import render
from e2analytics.report.formats.html import render_html
from e2analytics.tables import registry

Tables = dict[str, pl.DataFrame]
MONTH = "2026-09"
CONFTEST = Path(__file__).parents[1] / "conftest.py"
ATTACK = "<script>document.title='owned'</script>"
VOID = {"meta", "br", "col", "hr", "img", "input", "link"}


class ParsedPage(HTMLParser):
    """Collects what the tests ask of a page, and that every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def without(tables: Tables, *names: str) -> Tables:
    return {**tables, **{name: registry.TABLES[name].empty() for name in names}}


def without_charts(tables: Tables) -> Tables:
    """For tests of everything else: a chart takes longer than the rest of the page."""
    return without(tables, "curve", "curve_summary")


def page_of(tables: Tables) -> str:
    return render_html(build(tables, month=MONTH))


@pytest.fixture(scope="module")
def page(tables: Tables) -> str:
    return page_of(tables)


def test_the_page_loads_nothing_and_runs_nothing(page: str) -> None:
    parsed = ParsedPage(page)
    assert not parsed.named("script")
    assert not parsed.named("link")
    assert not parsed.named("img")
    assert not [a for _, attrs in parsed.tags for a in attrs if a in ("src", "xlink:href")]
    # Links lead to headings of the page itself.
    ids = {attrs["id"] for _, attrs in parsed.tags if "id" in attrs}
    links = [attrs["href"] for _, attrs in parsed.tags if "href" in attrs]
    assert links
    assert {link[:1] for link in links} == {"#"}
    assert {link[1:] for link in links} <= ids
    assert not [a for _, attrs in parsed.tags for a in attrs if a.startswith("on")]
    # Pictures point into themselves, at their own clip paths, and nowhere else.
    assert set(re.findall(r"url\(([^)]{1})", page)) == {"#"}
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_every_element_is_closed_and_no_id_is_used_twice(page: str) -> None:
    parsed = ParsedPage(page)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert parsed.open == []
    assert len(ids) == len(set(ids))


def test_headings_tables_and_pictures_can_be_read_aloud(page: str) -> None:
    parsed = ParsedPage(page)
    assert parsed.named("html") == [{"lang": "en"}]
    assert len(parsed.named("h1")) == 1
    assert len(parsed.named("table")) == len(parsed.named("caption")) > 5
    assert all("scope" in attributes for attributes in parsed.named("th"))
    pictures = [attrs for _, attrs in parsed.tags if attrs.get("role") == "img"]
    assert len(pictures) == len(re.findall("<svg", page)) == 7 + 2 * 16
    assert all(attributes["aria-label"] for attributes in pictures)


def test_no_heading_level_is_skipped(page: str) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_the_reader_is_warned_before_anything_else(page: str) -> None:
    body = page.split("<body>")[1]
    assert body.index("Internal: contains rows about patients; do not send.") < body.index("<h1>")
    assert "not a medical device" in body
    assert "TRAVERSE" in body
    assert "drawn towards men like him" in body


def test_every_man_with_an_open_flag_is_on_the_page_once(page: str, tables: Tables) -> None:
    lists, _, rest = page.partition('<h2 id="grounds">')
    for man in tables["flags"]["patient_id"]:
        assert lists.count(man) == 1
    assert sum(rest.count(man) for man in tables["flags"]["patient_id"]) == 1


def test_men_without_a_flag_or_a_recent_de_escalation_are_not_on_the_page(
    page: str, tables: Tables
) -> None:
    recent = pl.col("changed_on") > date(2024, 9, 30)
    listed = {
        *tables["flags"]["patient_id"],
        *tables["de_escalations"].filter(recent)["patient_id"],
    }
    assert not [
        man for man in tables["patients"]["patient_id"] if man not in listed and man in page
    ]


def test_no_time_of_day_is_on_the_page(page: str) -> None:
    assert not re.search(r"\b\d\d:\d\d\b", page)


def test_hundreds_of_flagged_men_are_all_listed(tables: Tables) -> None:
    flags = tables["flags"]
    many = pl.concat(
        flags.with_columns(patient_id=pl.col("patient_id") + f"-{copy}") for copy in range(10)
    )
    page = page_of({**without_charts(tables), "flags": many})
    assert page.count('<tbody class="man">') == 10 * flags.height


def test_of_many_men_the_report_of_all_clinics_lists_each_in_a_line(
    tables: Tables,
) -> None:
    flags = tables["flags"]
    many = pl.concat(
        flags.with_columns(patient_id=pl.col("patient_id") + f"-{copy}") for copy in range(12)
    )
    given = {**without_charts(tables), "flags": many}
    clinic = many["clinic_id"][0]

    page = page_of(given)
    of_clinic = render_html(build(given, month=MONTH, clinic=clinic))

    assert all(page.count(f">{man}<") == 1 for man in many["patient_id"])
    assert 'id="grounds"' not in page
    # He stands in his clinic's report, with all that his flag rests on.
    here = many.filter(pl.col("clinic_id") == clinic)["patient_id"]
    assert of_clinic.count('<tbody class="man">') == len(here)


def test_text_from_suppliers_is_inert(tables: Tables) -> None:
    attack = pl.lit(ATTACK)
    attacked = {
        **tables,
        "cohort": tables["cohort"].with_columns(clinic_id=attack, reasons=attack),
        "flags": tables["flags"].with_columns(
            clinic_id=attack, reasons=attack, rationale=attack, review_note=attack
        ),
        "files": tables["files"].with_columns(feed=attack),
        "quarantine": tables["quarantine"].with_columns(
            feed=attack, rule=attack, column=attack, advice=attack
        ),
        "attrition": tables["attrition"].with_columns(step=attack, reason=attack),
        "curve_summary": tables["curve_summary"].with_columns(
            explanation=attack, why_not=attack, covariates=attack
        ),
        "runs": tables["runs"].with_columns(run_id=attack, package_version=attack),
    }
    for name in ("attrition", "files"):
        attacked[name] = attacked[name].with_columns(run_id=attack)

    page = page_of(attacked)

    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not ParsedPage(page).named("script")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (("cohort", "flags"), "No man has an open flag on 30 September 2026."),
        (("cohort", "flags"), "No man is on an aromatase inhibitor."),
        (("patients", "cohort", "flags"), "Of 0 men known, none is on anastrozole."),
        (("flags",), "No man has an open flag"),
        (("curve", "curve_summary"), "No curve this month."),
        (("exposures", "curve", "curve_summary"), "No man has two DXA scans of the same site"),
        (("quarantine",), "Nothing is in quarantine: no row broke a rule."),
        (("files", "quarantine"), "No file has been read yet."),
        (("attrition",), "This run counted no steps from rows to men."),
        (("limits", "models"), "The lower limit in use is 16 pg/mL"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(
    tables: Tables, missing: tuple[str, ...], sentence: str
) -> None:
    page = page_of(without(without_charts(tables), *missing))
    assert sentence in page
    assert ParsedPage(page).open == []
    assert "None" not in page
    assert "nan" not in re.findall(r">([^<]*)<", page)


def test_a_run_of_nothing_at_all_is_a_page(tables: Tables) -> None:
    page = page_of(without(tables, *(name for name in tables if name != "runs")))
    assert ParsedPage(page).open == []
    assert page.count("<svg") == 0


def test_when_all_could_be_assessed_the_page_says_so(tables: Tables) -> None:
    assessed = tables["cohort"].filter(pl.col("status") != "not_assessable")
    page = page_of({**without_charts(tables), "cohort": assessed})
    assert "Every man on an aromatase inhibitor could be assessed (171)." in page


def test_a_chain_that_does_not_add_up_says_so(tables: Tables) -> None:
    wrong = tables["attrition"].with_columns(n_out=pl.col("n_out") + 1)
    page = page_of({**without_charts(tables), "attrition": wrong})
    assert page.count("It does not add up: report this.") == 3


def test_another_process_makes_the_same_files(tables: Tables) -> None:
    code = (
        "import hashlib, importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('made_up', {str(CONFTEST)!r})\n"
        "made_up = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(made_up)\n"
        "from e2analytics.report.formats.render import render\n"
        "from e2analytics.report.content import build\n"
        f"files = render(build(made_up.published_run(), month={MONTH!r}))\n"
        "for suffix, content in files.items():\n"
        "    print(suffix, hashlib.sha256(content).hexdigest())\n"
    )
    other = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "123"},
        capture_output=True,
        check=True,
    )
    files = render.render(build(tables, month=MONTH))
    assert list(files) == [".html", ".pdf", ".xlsx"]
    assert other.stdout.decode().splitlines() == [
        f"{suffix} {hashlib.sha256(content).hexdigest()}" for suffix, content in files.items()
    ]


def test_simulated_patients_are_said_to_be_simulated(tables: dict[str, pl.DataFrame]):
    simulated = {**tables, "runs": tables["runs"].with_columns(simulated=pl.lit(True))}

    assert "Simulated patients" not in render_html(build(tables, month="2026-09"))
    page = render_html(build(simulated, month="2026-09"))
    assert "Simulated patients: no row here describes a person." in page
    assert "as in a specialised clinic" in page
