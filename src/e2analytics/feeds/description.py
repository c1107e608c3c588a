"""The feed description: ``schemas/feeds/*.yaml``, validated when it is loaded.

A description maps a supplier's columns to the columns of a table of e2analytics. A new
supplier is a new YAML file, no Python. ``docs/feeds.md`` shows how one is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from e2analytics.errors import ConfigurationError
from e2analytics.feeds.formats import Format
from e2analytics.feeds.text_columns import TEXT_COLUMNS, Target
from e2analytics.reference import schemas_folder
from e2analytics.reference.yaml_text import from_yaml

UnreadableRule = Literal["unreadable_segment", "unreadable_entry"]
"""Rules of rows that no reader could make out."""


class _Entry(BaseModel, frozen=True, extra="forbid"):
    pass


def _several(written: Any) -> Any:
    return (written,) if isinstance(written, str) else written


Texts = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Equals(_Entry):
    """A condition on a source column: it holds one of some texts."""

    column: str
    equals: Texts


class BelowDetection(_Entry):
    """A comment column with the meaning "below ``limit``"; the value then becomes ``<limit``.

    The limit is a number, or so many ``times`` the value that was filled in for it.
    """

    column: str
    equals: str
    limit: float | None = None
    times: float | None = None

    @model_validator(mode="after")
    def _says_one_limit(self) -> BelowDetection:
        if (self.limit is None) == (self.times is None):
            raise ValueError("give one of limit and times")
        return self


class Comparator(_Entry):
    """A column with the comparator of a value (``<``), and one where both may be written together.

    A code that is not in ``values``, or two that differ, make the value unreadable.
    """

    column: str
    values: dict[str, str]
    written_in: str | None = None


class Constant(_Entry):
    """The same text in every row."""

    constant: str | date


SizeUnit = Literal["cm", "m", "in", "ft", "kg", "lb"]


class Column(_Entry):
    """A source column, perhaps recoded: texts not in ``values`` become ``otherwise`` or stay.

    What is recoded as an empty text is empty. ``unit`` is that of plain numbers. ``unless_same_as`` and
    ``unless_given`` name columns that make it empty: with the same text, or with any.
    """

    column: str
    values: dict[str, str] | None = None
    otherwise: str | None = None
    prefix: str = ""
    below_detection: BelowDetection | None = None
    comparator: Comparator | None = None
    unit: SizeUnit | None = None
    unless_same_as: str | None = None
    unless_given: str | None = None


class Age(_Entry):
    """A birth date that stands for an age in whole years on a day."""

    age_years: str
    known_on: date


class FirstOf(_Entry):
    """The first of several sources that is not empty."""

    first_of: tuple[Source, ...] = Field(min_length=1)


class Join(_Entry):
    """Several sources, one after the other, perhaps recoded; empty where the first one is."""

    join: tuple[Source, ...] = Field(min_length=2)
    by: str = "-"
    values: dict[str, str] | None = None
    prefix: str = ""


_TODO: Final = re.compile(r"TODO[ \w]*:")
_KINDS: Final = ("constant", "age_years", "first_of", "join")


def _kind(source: Any) -> str:
    if not isinstance(source, dict | _Entry):
        return "name"  # of a column; what YAML took for a number or for false is refused as one
    keys = source if isinstance(source, dict) else source.model_fields_set
    return next((kind for kind in _KINDS if kind in keys), "column")


Source = Annotated[
    Annotated[str, Tag("name")]
    | Annotated[Constant, Tag("constant")]
    | Annotated[Age, Tag("age_years")]
    | Annotated[FirstOf, Tag("first_of")]
    | Annotated[Join, Tag("join")]
    | Annotated[Column, Tag("column")],
    Discriminator(_kind),
]
FirstOf.model_rebuild()
Join.model_rebuild()


def columns_named(source: Source) -> Iterator[str]:
    """Yield the source columns that ``source`` needs."""
    match source:
        case str():
            yield source
        case Column(column=column, below_detection=below, comparator=comparator):
            beside = [source.unless_same_as, source.unless_given, below and below.column]
            if comparator is not None:
                beside += [comparator.column, comparator.written_in]
            yield from filter(None, [column, *beside])
        case Age(age_years=column):
            yield column
        case FirstOf(first_of=sources) | Join(join=sources):
            for each in sources:
                yield from columns_named(each)


class SetApartWhen(_Entry):
    """Rows to exclude: a column is one of some texts, is none of them, or is ``given``."""

    column: str
    equals: Texts | None = None
    is_not: Texts | None = None
    given: Literal[True] | None = None
    reason: str

    @model_validator(mode="after")
    def _says_when(self) -> SetApartWhen:
        if [self.equals, self.is_not, self.given].count(None) != 2:
            raise ValueError("give one of equals, is_not and given")
        return self


def _same_names(written: Any) -> Any:
    return {name: name for name in written} if isinstance(written, list) else written


class Lookup(_Entry):
    """Columns of a companion file of the same drop, joined where ``key`` there equals ``on`` here.

    A key that the companion holds twice with different contents gives nothing: it is unknown which
    is meant. A file that is called like the companion and has no such key is none. ``format`` is another one
    that the companion may have; a ``code`` is compared in its normal form.
    """

    name: str
    record: str = "*"
    on: str
    key: str | None = None
    columns: Annotated[dict[str, str], BeforeValidator(_same_names)]
    where: Equals | None = None
    format: Format | None = None
    code: Literal["ndc"] | None = None

    def is_companion(self, file_name: str) -> bool:
        """Return whether a file of this name holds the columns; case does not count."""
        return fnmatchcase(file_name.lower(), self.name.lower())

    def takes(self, record: str) -> bool:
        """Return whether rows of this record are meant; case does not count."""
        return fnmatchcase(record.lower(), self.record.lower())


class Unpivot(_Entry):
    """A table turned on its side: every column but ``keep`` holds results, and its name says of when.

    Each of its cells becomes a row with the columns ``keep``, the column's name as ``heading`` and its text
    as ``cell``.
    """

    keep: tuple[str, ...] = Field(min_length=1)
    heading: str
    cell: str

    @model_validator(mode="after")
    def _names_new_columns(self) -> Unpivot:
        if len({*self.keep, self.heading, self.cell}) < len(self.keep) + 2:
            raise ValueError("heading and cell are new names, and each column is kept once")
        return self


class FileDescription(_Entry):
    """How one kind of file, or one record of a file, becomes rows of one table."""

    target: Target
    name: str
    record: str = "*"
    header: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    columns: dict[str, Source] = {}
    unused: tuple[str, ...] = ()
    parts: tuple[dict[str, Source], ...] = ({},)
    lookups: tuple[Lookup, ...] = ()
    unpivot: Unpivot | None = None
    set_apart: str | None = None
    set_apart_when: SetApartWhen | None = None
    unreadable: UnreadableRule | None = None
    not_measured_when_empty: str | None = None
    imputed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fills_only_columns_of_its_table(self) -> FileDescription:
        known = TEXT_COLUMNS[self.target]
        filled = [*self.columns, *(name for part in self.parts for name in part)]
        if unknown := sorted(set(filled) - set(known)):
            raise ValueError(f"{self.target} has no column {', '.join(unknown)}; it has {known}")
        if [bool(filled), self.set_apart is not None, self.unreadable is not None].count(True) != 1:
            raise ValueError("give one of columns, set_apart and unreadable")
        if self.unreadable is not None and self.target != "labs":
            raise ValueError("what cannot be read is listed under labs")
        return self

    def sources(self) -> Iterator[Source]:
        """Yield what fills the columns of the table."""
        yield from self.columns.values()
        for part in self.parts:
            yield from part.values()

    def columns_used(self) -> set[str]:
        """Return the source columns that anything here needs."""
        used = {name for source in self.sources() for name in columns_named(source)}
        used |= {*self.required, *self.one_of, *self.header}
        used |= {lookup.on for lookup in self.lookups}
        used |= set(self.unpivot.keep) if self.unpivot else set()
        return used | ({self.set_apart_when.column} if self.set_apart_when else set())

    def id_prefixes(self) -> dict[str, str]:
        """Return the row's own ids that are made of the patient's number alone, with their prefix."""
        patient = self.columns.get("patient_id")
        return {
            name: source.prefix if isinstance(source, Column) else ""
            for name, source in self.columns.items()
            if name.endswith("_id") and name != "patient_id" and _same_column(source, patient)
        }

    def ids_with_the_patient_in(self) -> set[str]:
        """Return the row's own ids that join the patient's number to something else."""
        patient = self.columns.get("patient_id")
        numbers = set(columns_named(patient)) if patient is not None else set()
        own = {
            name: source
            for part in self.parts
            for name, source in {**self.columns, **part}.items()
            if name.endswith("_id") and name not in ("patient_id", "clinic_id", "scanner_id")
        }
        made_of = {name for name, source in own.items() if numbers & set(columns_named(source))}
        return made_of - set(self.id_prefixes())

    def matches(self, file_name: str) -> bool:
        """Return whether a file of this name is one of these; case does not count."""
        return fnmatchcase(file_name.lower(), self.name.lower())

    def takes(self, record: str) -> bool:
        """Return whether rows of this record are some of these; case does not count."""
        return fnmatchcase(record.lower(), self.record.lower())

    def recognises(self, headers: Mapping[str, list[str]]) -> bool:
        """Return whether a record of a file has all the columns of the signature."""
        return any(
            self.takes(record) and set(self.header) <= set(names)
            for record, names in headers.items()
        )


def _same_column(source: Source, patient: Source | None) -> bool:
    names = [each.column if isinstance(each, Column) else each for each in (source, patient)]
    return isinstance(names[0], str) and names[0] == names[1]


class Feed(_Entry):
    """One supplier's layout."""

    feed: str = Field(pattern=r"^[a-z0-9_]+$")
    description: str
    namespace: str = "default"
    format: Format
    dates: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    timezone: str | None = None
    files: tuple[FileDescription, ...]

    @field_validator("timezone")
    @classmethod
    def _must_be_known(cls, name: str | None) -> str | None:
        try:
            ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("not a time zone of the IANA database") from None
        return name


def load_feeds(more: Path | None = None) -> tuple[Feed, ...]:
    """Return the feed descriptions, those of the folder ``more`` first.

    Raises
    ------
    ConfigurationError
        If one cannot be understood, or two have one name; the message names the file and the key.
    """
    if more is not None and not more.is_dir():
        raise ConfigurationError(f"There is no folder {more} of feed descriptions (feeds_folder).")
    folders = [folder for folder in (more, schemas_folder() / "feeds") if folder is not None]
    feeds: dict[str, Feed] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.yaml")):
            feed = load_feed(file)
            if feed.feed in feeds:
                raise ConfigurationError(
                    f"The feed description {file} is wrong:\n  feed: there is one called {feed.feed} "
                    "already; give it another name."
                )
            feeds[feed.feed] = feed
    return tuple(feeds.values())


def unsettled(more: Path | None) -> dict[Path, list[int]]:
    """Return the lines with TODO of each description of the folder ``more``: drafts that nobody finished."""
    if more is None:
        return {}
    found = {
        file: [
            n
            for n, line in enumerate(file.read_text("utf-8").splitlines(), 1)
            if _TODO.search(line)
        ]
        for file in sorted(more.glob("*.yaml"))
    }
    return {file: lines for file, lines in found.items() if lines}


def load_feed(file: Path) -> Feed:
    """Return one feed description.

    Raises
    ------
    ConfigurationError
        If it cannot be understood; the message names the file and the key.
    """
    try:
        return Feed.model_validate(from_yaml(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The feed description {file} cannot be read: {error}.") from None
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            + f" (YAML takes it for {problem['input']}: put it in quotes)"
            * (
                problem["type"] == "string_type"
                and isinstance(problem["input"], bool | int | float)
            )
            for problem in error.errors()
        )
        raise ConfigurationError(f"The feed description {file} is wrong:\n{problems}") from None
