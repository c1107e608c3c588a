"""The report as a browser shows and prints it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from e2analytics.report.content import build
from e2analytics.report.formats.html import render_html

Chromium = Callable[..., str]
Tables = dict[str, pl.DataFrame]
MONTH = "2026-09"

# The page forbids scripts; the copy that is measured gives that up for this one.
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
MEASURE = """<script>
const boxes = selector => [...document.querySelectorAll(selector)].map(e => e.getBoundingClientRect());
document.title = JSON.stringify({
  page: document.documentElement.scrollWidth,
  window: document.documentElement.clientWidth,
  pictures: boxes("svg").map(b => [b.width, b.height]),
  wide: [...document.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth + 1).length,
  text: Math.min(...[...document.querySelectorAll("td, th, p, li, dd, figcaption")]
    .map(e => parseFloat(getComputedStyle(e).fontSize))),
});
</script></body>"""


@pytest.fixture(scope="module")
def page(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(build(tables, month=MONTH)), encoding="utf-8")
    return path


def measured(chromium: Chromium, page: Path, *, width_px: int) -> dict[str, Any]:
    """The page's sizes in a window of that width."""
    copy = page.with_name(f"measured-{width_px}.html")
    text = POLICY.sub("", page.read_text(encoding="utf-8")).replace("</body>", MEASURE)
    copy.write_text(text, encoding="utf-8")
    shown = chromium(f"--window-size={width_px},1000", "--dump-dom", copy.as_uri())
    title = re.search(r"<title>(.*?)</title>", shown, re.DOTALL)
    assert title is not None
    sizes: dict[str, Any] = json.loads(title[1])
    return sizes


def test_the_page_fits_a_desk_screen_and_no_table_must_be_scrolled(
    chromium: Chromium, page: Path
) -> None:
    sizes = measured(chromium, page, width_px=1200)
    assert sizes["page"] <= sizes["window"] == 1200
    assert sizes["wide"] == 0
    assert sizes["text"] >= 12
    assert len(sizes["pictures"]) == page.read_text(encoding="utf-8").count("<svg")
    assert all(width > 200 and height > 100 for width, height in sizes["pictures"])


def test_in_a_narrow_window_tables_scroll_and_the_page_does_not(
    chromium: Chromium, page: Path
) -> None:
    sizes = measured(chromium, page, width_px=600)
    assert sizes["page"] <= sizes["window"] == 600
    assert sizes["wide"] > 0


def test_on_a_telephone_pictures_stand_below_each_other(chromium: Chromium, page: Path) -> None:
    sizes = measured(chromium, page, width_px=400)
    assert all(width > 200 for width, _ in sizes["pictures"])


def test_a_script_in_a_suppliers_text_does_not_run(
    chromium: Chromium, tables: Tables, tmp_path: Path
) -> None:
    attack = pl.lit("</td><script>document.title='owned'</script><img src=x onerror=alert(1)>")
    attacked = {
        **tables,
        "flags": tables["flags"].with_columns(clinic_id=attack, rationale=attack),
        "attrition": tables["attrition"].with_columns(reason=attack, step=attack),
        "quarantine": tables["quarantine"].with_columns(rule=attack, advice=attack),
    }
    path = tmp_path / "attacked.html"
    path.write_text(render_html(build(attacked, month=MONTH)), encoding="utf-8")

    shown = chromium("--dump-dom", path.as_uri())

    assert "<title>Estradiol and bone, September 2026: internal report</title>" in shown
    assert "<script" not in shown
    assert "<img" not in shown


def test_the_page_prints_on_a4_with_every_flagged_man(
    chromium: Chromium, page: Path, tables: Tables, tmp_path: Path
) -> None:
    pdftotext = shutil.which("pdftotext")
    if pdftotext is None:
        pytest.skip("there is no pdftotext on this machine")
    printed = tmp_path / "report.pdf"
    chromium(f"--print-to-pdf={printed}", page.as_uri())

    done = subprocess.run(  # noqa: S603
        [pdftotext, "-layout", str(printed), "-"], capture_output=True, check=True
    )

    text = done.stdout.decode()
    assert text.lstrip().startswith("Internal: contains rows about patients; do not send.")
    # The charts of measures take two to a sheet.
    of_measures = -(-tables["measures"]["measure"].n_unique() // 2)
    assert 5 + of_measures <= text.count("\f") <= 15 + of_measures
    # Long pseudonyms wrap; the first half of each stands alone on its line.
    for man in tables["flags"]["patient_id"]:
        assert man[:14] in text
