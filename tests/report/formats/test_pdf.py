"""The report on paper: tagged, with bookmarks and page numbers, and nothing left out."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from e2analytics.report.content import build
from e2analytics.report.formats import render
from e2analytics.report.formats.document import (
    Cell,
    Document,
    Heading,
    Paragraph,
    Row,
    Run,
    Table,
    all_blocks,
    all_text,
    read_page,
)
from e2analytics.report.formats.html import render_html
from e2analytics.report.formats.pdf import Edges, _shares, render_pdf

Tables = dict[str, pl.DataFrame]
EDGES = Edges("Do not send.", "North, September 2026", "e2analytics 1.0", date(2026, 9, 30))


def program(name: str, *arguments: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} on this machine")
    done = subprocess.run([path, *arguments], capture_output=True, check=True)  # noqa: S603
    return done.stdout.decode()


@pytest.fixture(scope="module")
def document(tables: Tables) -> Document:
    return read_page(render_html(build(tables, month="2026-09")))


@pytest.fixture(scope="module")
def paper(document: Document, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pdf") / "report.pdf"
    file.write_bytes(render_pdf(document, EDGES))
    return file


def test_it_is_tagged_and_carries_the_day_of_the_report(paper: Path):
    about = program("pdfinfo", str(paper))

    assert re.search(r"Tagged: +yes", about)
    assert re.search(r"Title: +Estradiol and bone, September 2026", about)
    assert re.search(r"CreationDate: +Wed Sep 30 00:00:00 2026", about)


def test_every_sheet_says_whose_it_is_and_which_it_is(paper: Path):
    sheets = program("pdftotext", "-layout", str(paper), "-").split("\f")[:-1]

    # Sixteen measures are kept whole, one or two on a sheet.
    assert 5 <= len(sheets) <= 24
    for number, sheet in enumerate(sheets, start=1):
        assert "Do not send." in sheet
        assert "North, September 2026" in sheet
        assert f"Page {number} of {len(sheets)}" in sheet


def test_every_section_is_a_bookmark_and_every_word_is_there(paper: Path, document: Document):
    text = program("pdftotext", "-raw", str(paper), "-")
    bookmarks = program("pdftohtml", "-xml", "-stdout", "-i", str(paper))

    for block in all_blocks(document):
        if isinstance(block, Heading):
            assert f">{block.text}</item>" in bookmarks
    # Lines may break after a sign: "g/cm2".
    said = Counter(re.findall(r"\w+", " ".join(all_text(document))))
    assert said - Counter(re.findall(r"\w+", text)) == Counter()


def test_fonts_are_those_inside_typst(paper: Path):
    fonts = program("pdffonts", str(paper)).splitlines()[2:]

    assert fonts
    assert all("Libertinus" in line or "DejaVu" in line for line in fonts)


def test_text_that_looks_like_markup_is_text(tmp_path: Path):
    attack = '#read("/etc/passwd") *b* $x$ \\ [y] <z>'
    cell = Cell((Run(attack),))
    said = (Paragraph((Run(attack),)), Table(attack, ((cell,),), ((cell,),)))
    file = tmp_path / "attacked.pdf"
    file.write_bytes(render_pdf(Document(attack, said), EDGES))

    text = program("pdftotext", "-raw", str(file), "-")
    assert text.replace("\n", " ").count(attack) == 4


def test_a_man_and_the_notes_on_him_are_not_on_two_sheets(paper: Path, tables: Tables):
    sheets = program("pdftotext", "-layout", str(paper), "-").split("\f")
    listed = tables["flags"].filter(pl.col("tier").is_in(["critical", "high"]))

    for man, rationale in listed.select("patient_id", "rationale").iter_rows():
        # A second one shows what a critical flag rests on.
        listed_on, *_ = (sheet for sheet in sheets if man in sheet)
        assert rationale.partition(" Dose")[0] in listed_on


def test_the_same_report_is_the_same_file(tables: Tables):
    report = build(
        {
            **tables,
            "curve": tables["curve"].clear(),
            "curve_summary": tables["curve_summary"].clear(),
        },
        month="2026-09",
    )
    assert render.render(report) == render.render(report)


def test_columns_of_sentences_share_the_width_and_words_take_what_they_need():
    def row(*texts: str) -> Row:
        return tuple(Cell((Run(text),)) for text in texts)

    head, sentence = row("Feed", "Rule", "Advice", "Yours"), "x" * 70
    several = Table(
        "", (head,), (row("labs", "a rule in more than few words", sentence, sentence),)
    )
    one = Table("", (head,), (row("labs", "a rule", "short", sentence),))

    assert _shares(several) == [0, 54, 84, 84]
    assert _shares(one) == [0, 0, 0, 0]
    assert _shares(Table("", (head,), ())) == [0, 0, 0, 0]
