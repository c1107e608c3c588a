"""The document behind a page: its content in reading order, without its looks.

In    a page of :mod:`e2analytics.report.formats.html`
Out   Document: headings, paragraphs, lists, tables, pictures

The PDF and the workbook are set from it, so that a section cannot be on the page and missing from them.
It reads our own pages alone: every element closed, attributes quoted, headings from ``h1`` to ``h3``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Final

_SVG: Final = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
_BODY: Final = re.compile(r"<body>(.*)</body>", re.DOTALL)
_TITLE: Final = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_STYLE_OF_PICTURES: Final = re.compile(r"^(svg\.\S[^{]*\{[^}]*\})", re.MULTILINE)
_NAMESPACE: Final = "http://www.w3.org/2000/svg"
_VOID: Final = ("br", "meta", "wbr")
_SIDE_BY_SIDE: Final = ("flows", "small", "pair")
"""Classes of boxes whose parts stand side by side."""
_WHOLE: Final = ("note", "measure")
"""Classes of boxes whose parts stand below each other and belong together."""


@dataclass(frozen=True, slots=True)
class Run:
    """Words in one style; ``minor`` ones stand on a line of their own."""

    text: str
    bold: bool = False
    minor: bool = False


Words = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the document's title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; ``role`` is its class on the page, such as ``internal``."""

    words: Words
    role: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """A list; ``role`` is its class on the page, such as ``headlines``."""

    items: tuple[Words, ...]
    numbered: bool
    role: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """Names with what they mean."""

    pairs: tuple[tuple[str, Words], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table; ``exact`` is the number behind the words, where the page gives it."""

    words: Words
    number: bool = False
    heading: bool = False
    exact: str = ""
    rowspan: int = 1
    colspan: int = 1

    @property
    def text(self) -> str:
        """What the cell says, in one line."""
        return plain_text(self.words)


Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; each row of ``head`` and ``body`` has its cells as they stand on the page.

    ``role`` is its class on the page, such as ``men``.
    """

    caption: str
    head: tuple[Row, ...]
    body: tuple[Row, ...]
    role: str = ""

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return sum(cell.colspan for cell in self.head[0])


@dataclass(frozen=True, slots=True)
class Picture:
    """A vector picture that stands alone, and what it shows in words."""

    svg: str
    alt: str


@dataclass(frozen=True, slots=True)
class Boxes:
    """Parts that stand side by side (``flows``, ``small``, ``pair``), or one that is a whole (``note``, ``measure``)."""

    role: str
    boxes: tuple[tuple[Block, ...], ...]


Block = Heading | Paragraph | Items | Terms | Table | Picture | Boxes


@dataclass(frozen=True, slots=True)
class Document:
    """A whole page."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def tables(self) -> tuple[tuple[str, Table], ...]:
        """Every table with the heading of the section that it stands in, in reading order."""
        found: list[tuple[str, Table]] = []
        section = self.title
        for block in all_blocks(self):
            if isinstance(block, Heading) and block.level <= 2:
                section = block.text
            elif isinstance(block, Table):
                found.append((section, block))
        return tuple(found)


def read_page(page: str) -> Document:
    """Read the document from a page that we rendered."""
    title, body = _TITLE.search(page), _BODY.search(page)
    if title is None or body is None:
        raise ValueError("This is no page of a report: it has no title or no body.")
    pictures = _SVG.findall(body[1])
    numbered = iter(range(len(pictures)))
    tree = _Tree()
    # Names are case-sensitive inside a picture, and lost on a reader of HTML.
    tree.feed(_SVG.sub(lambda _: f'<svg data-number="{next(numbered)}"></svg>', body[1]))
    style = "".join(_STYLE_OF_PICTURES.findall(page))
    reader = _Reader([_alone(svg, style) for svg in pictures])
    return Document(unescape(title[1]), tuple(reader.blocks(tree.root, alt="")))


def plain_text(words: Words) -> str:
    """Return words without their style."""
    return " ".join(" ".join(run.text.split()) for run in words).strip()


def all_blocks(document: Document) -> Iterator[Block]:
    """Yield every block but the boxes, in reading order."""
    return _flat(document.blocks)


def all_text(document: Document) -> Iterator[str]:
    """Yield all that is said, piece by piece, but for what is inside pictures."""
    for block in all_blocks(document):
        match block:
            case Heading(_, text):
                yield text
            case Paragraph(words, _):
                yield plain_text(words)
            case Items(items, _, _):
                yield from map(plain_text, items)
            case Terms(pairs):
                yield from (f"{name} {plain_text(words)}" for name, words in pairs)
            case Table():
                rows = (*block.head, *block.body)
                yield block.caption
                yield from (cell.text for row in rows for cell in row)


def _flat(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, Boxes):
            for box in block.boxes:
                yield from _flat(box)
        else:
            yield block


def _alone(svg: str, style: str) -> str:
    """Give a picture what it had of its page: the namespace and the style."""
    opening, _, rest = svg.partition(">")
    if "xmlns=" not in opening:
        opening += f' xmlns="{_NAMESPACE}"'
    return f"{opening}><style>{style}</style>{rest}" if "class=" in svg else f"{opening}>{rest}"


@dataclass(slots=True)
class _Element:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[_Element | str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    def inner(self, *tags: str) -> list[_Element]:
        """Return the elements below with one of these tags, in order."""
        found: list[_Element] = []
        for child in self.children:
            if isinstance(child, _Element):
                found += [child] if child.tag in tags else child.inner(*tags)
        return found


class _Tree(HTMLParser):
    """Builds elements from text."""

    def __init__(self) -> None:
        super().__init__()
        self.root = _Element("body")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = _Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if data:
            self._open[-1].children.append(data)


class _Reader:
    """Turns elements into blocks."""

    def __init__(self, pictures: list[str]) -> None:
        self._pictures = pictures

    def blocks(self, parent: _Element, alt: str) -> Iterator[Block]:
        for child in parent.children:
            if isinstance(child, _Element):
                yield from self._block(child, child.attributes.get("aria-label", alt))
            elif child.strip():
                yield Paragraph((Run(child),))

    def _block(self, element: _Element, alt: str) -> Iterator[Block]:
        match element.tag:
            case "h1" | "h2" | "h3":
                yield Heading(int(element.tag[1]), plain_text(_words(element)))
            case "nav":
                return  # links within the page; the PDF has bookmarks, the workbook sheets
            case "p" | "figcaption" | "summary":
                role = "caption" if element.tag == "figcaption" else " ".join(element.classes)
                yield Paragraph(_words(element), role)
            case "ul" | "ol":
                items = tuple(_words(item) for item in element.inner("li"))
                yield Items(items, element.tag == "ol", " ".join(element.classes))
            case "dl":
                yield Terms(_pairs(element))
            case "table":
                yield _table(element)
            case "svg":
                number = int(element.attributes["data-number"])
                svg = self._pictures[number]
                own = re.search(r'aria-label="([^"]*)"', svg.partition(">")[0])
                yield Picture(svg, alt or (unescape(own[1]) if own else ""))
            case "div" if set(element.classes) & {*_SIDE_BY_SIDE, *_WHOLE}:
                yield self._boxes(element, alt)
            case _:
                yield from self.blocks(element, alt)

    def _boxes(self, element: _Element, alt: str) -> Boxes:
        if whole := set(element.classes).intersection(_WHOLE):
            return Boxes(whole.pop(), (tuple(self.blocks(element, alt)),))
        role = next(name for name in element.classes if name in _SIDE_BY_SIDE)
        parts = [child for child in element.children if isinstance(child, _Element)]
        boxes = (tuple(self.blocks(_Element("div", {}, [part]), alt)) for part in parts)
        return Boxes(role, tuple(boxes))


def _pairs(element: _Element) -> tuple[tuple[str, Words], ...]:
    names, meanings = (element.inner(tag) for tag in ("dt", "dd"))
    return tuple(
        (plain_text(_words(name)), _words(meaning))
        for name, meaning in zip(names, meanings, strict=True)
    )


def _table(element: _Element) -> Table:
    captions = element.inner("caption")
    return Table(
        caption=plain_text(_words(captions[0])) if captions else "",
        head=tuple(_row(row) for part in element.inner("thead") for row in part.inner("tr")),
        body=tuple(_row(row) for part in element.inner("tbody") for row in part.inner("tr")),
        role=" ".join(element.classes),
    )


def _row(element: _Element) -> Row:
    total = "total" in element.classes
    return tuple(
        Cell(
            words=_words(cell, bold=total),
            number="n" in cell.classes,
            heading=cell.tag == "th",
            exact=cell.attributes.get("data-value", ""),
            rowspan=int(cell.attributes.get("rowspan", "1")),
            colspan=int(cell.attributes.get("colspan", "1")),
        )
        for cell in element.inner("th", "td")
    )


def _words(element: _Element, *, bold: bool = False, minor: bool = False) -> Words:
    """Collect the words below an element; space between them as a browser would show it."""
    runs: list[Run] = []
    for child in element.children:
        if isinstance(child, str):
            text = re.sub(r"\s+", " ", child)
            if text.strip() or (text and runs):
                runs.append(Run(text, bold, minor))
        elif child.tag == "br":
            runs.append(Run(" ", bold, minor))
        else:
            strong = bold or child.tag in ("b", "strong") or "tier" in child.classes
            small = minor or "minor" in child.classes
            runs += _marked(child, _words(child, bold=strong, minor=small))
    return tuple(runs)


def _marked(element: _Element, words: Words) -> Words:
    """Put the sign of a tier, which a style sheet adds on the page, before its name."""
    if "tier" not in element.classes:
        return words
    sign = next((sign for name, sign in TIER_SIGNS.items() if name in element.classes), "")
    return (Run(f"{sign} ", bold=True), *words) if sign else words


TIER_SIGNS: Final = {"critical": "■", "high": "▲", "watch": "●"}
