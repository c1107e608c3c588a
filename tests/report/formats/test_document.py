"""The document behind a page: what it says, in order, and nothing lost on the way to paper and workbook."""

from __future__ import annotations

import re
from html import unescape

import polars as pl
import pytest

from e2analytics.report.content import build
from e2analytics.report.formats.document import (
    TIER_SIGNS,
    Block,
    Boxes,
    Heading,
    Items,
    Paragraph,
    Picture,
    Run,
    Table,
    Terms,
    all_blocks,
    all_text,
    read_page,
)
from e2analytics.report.formats.html import render_html

Tables = dict[str, pl.DataFrame]


def page_of(body: str) -> str:
    style = "svg.flow .kept { fill: #fff; }\np { margin: 0; }\n"
    return f"<html><title>A &amp; B</title><style>\n{style}</style><body>{body}</body></html>"


def blocks_of(body: str) -> tuple[Block, ...]:
    return read_page(page_of(body)).blocks


@pytest.fixture(scope="module")
def page(tables: Tables) -> str:
    return render_html(build(tables, month="2026-09"))


def test_blocks_come_in_reading_order_with_their_style():
    assert blocks_of(
        "<h2>Men</h2><p class='use'>Of <b>12</b>\n men</p><ol class='headlines'><li><b>One</b>more</li></ol>"
        "<dl><dt>Dose</dt><dd>mg</dd></dl>loose"
    ) == (
        Heading(2, "Men"),
        Paragraph((Run("Of "), Run("12", bold=True), Run(" men")), "use"),
        Items(((Run("One", bold=True), Run("more")),), numbered=True, role="headlines"),
        Terms((("Dose", (Run("mg"),)),)),
        Paragraph((Run("loose"),)),
    )


def test_a_picture_stands_alone_with_its_style_and_its_words():
    (picture,) = blocks_of(
        '<div role="img" aria-label="falls &lt; 10"><svg class="flow" viewBox="0 0 2 1"><rect class="kept"/></svg></div>'
    )

    assert picture == Picture(
        '<svg class="flow" viewBox="0 0 2 1" xmlns="http://www.w3.org/2000/svg">'
        '<style>svg.flow .kept { fill: #fff; }</style><rect class="kept"/></svg>',
        alt="falls < 10",
    )


def test_boxes_that_stand_side_by_side_stay_together():
    (boxes,) = blocks_of("<div class='pair'><p>a</p><div><p>b</p><p>c</p></div></div>")

    a, b, c = (Paragraph((Run(letter),)) for letter in "abc")
    assert boxes == Boxes("pair", ((a,), (b, c)))


def test_a_table_keeps_spans_small_print_signs_totals_and_exact_numbers():
    (table,) = blocks_of(
        "<table class='men'><caption>Men</caption><thead><tr><th rowspan='2'>Man</th><th colspan='2'>E2</th></tr></thead>"
        "<tbody><tr class='total'><td><span class='tier high'>High</span><span class='minor'>low</span></td>"
        "<td class='n' data-value='0.25'>25 %</td></tr></tbody></table>"
    )

    assert isinstance(table, Table)
    assert (table.caption, table.role, table.n_columns) == ("Men", "men", 3)
    assert [(cell.rowspan, cell.colspan) for cell in table.head[0]] == [(2, 1), (1, 2)]
    high, share = table.body[0]
    assert [(run.text, run.minor) for run in high.words] == [
        ("▲ ", False),
        ("High", False),
        ("low", True),
    ]
    assert (share.number, share.exact, share.words[0].bold) == (True, "0.25", True)


def test_every_table_heading_and_picture_of_the_page_is_in_it(page: str):
    document = read_page(page)

    captions = [unescape(said) for said in re.findall(r"<caption>(.*?)</caption>", page)]
    flat = re.sub(r"<[^>]+>", "", " | ".join(captions))
    assert " | ".join(table.caption for _, table in document.tables) == flat
    headings = [b.text for b in all_blocks(document) if isinstance(b, Heading)]
    assert len(headings) == len(re.findall(r"<h[1-3]\b", page))
    pictures = [b for b in all_blocks(document) if isinstance(b, Picture)]
    assert len(pictures) == page.count("<svg")
    assert all(picture.alt for picture in pictures)


def test_every_word_of_the_page_is_in_it_once(page: str):
    # Links to headings name them a second time.
    body = re.sub(r"<(svg|nav).*?</\1>", "", page.partition("<body>")[2], flags=re.DOTALL)
    words = unescape(re.sub(r"<[^>]+>", " ", body)).split()

    said = " ".join(all_text(read_page(page)))

    signs = set(TIER_SIGNS.values())
    assert sorted(w for w in said.split() if w not in signs) == sorted(
        w for w in words if w not in signs
    )


def test_what_is_no_page_is_refused():
    with pytest.raises(ValueError, match="no page of a report"):
        read_page("<p>nothing</p>")
