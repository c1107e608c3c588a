"""The file formats: each is registered here once, with its reader and what others must know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, get_args

from pydantic import BeforeValidator, Field

from e2analytics.feeds import delimited, excel, parquet, sas
from e2analytics.feeds.batch import Batch
from e2analytics.feeds.fhir import reader as fhir
from e2analytics.feeds.hl7v2 import reader as hl7v2
from e2analytics.feeds.reader import FormatOptions, Reader


@dataclass(frozen=True)
class FileFormat:
    """A format.

    Attributes
    ----------
    reader
        Its module.
    shipped_feed
        The feed description of a format whose columns its reader defines, whatever the file holds; none of
        tables, whose columns are the file's own.
    has_sheets
        A file holds several tables, one after the other.
    labels
        What a file itself says of its columns, by their names.
    companions
        The other files of a drop that decide what a file's rows say.
    """

    reader: Reader
    shipped_feed: str | None = None
    has_sheets: bool = False
    labels: Callable[[Path], dict[str, str]] = lambda _: {}
    companions: Callable[[Path], list[Path]] = lambda _: []

    @property
    def options(self) -> type[FormatOptions]:
        """What a feed description may say about it."""
        options: type[FormatOptions] = self.reader.Options
        return options

    @property
    def kind(self) -> str:
        """Its name in a feed description."""
        (kind,) = get_args(self.options.model_fields["kind"].annotation)
        return str(kind)

    @property
    def defines_columns(self) -> bool:
        """Whether its reader defines the columns, whatever the file holds."""
        return self.shipped_feed is not None

    @property
    def has_header_line(self) -> bool:
        """Whether the names of columns stand in a line, which may be a row of data instead."""
        return "header_line" in self.options.model_fields


# The order of messages that name all formats.
_REGISTERED: Final = (
    FileFormat(delimited),
    FileFormat(excel, has_sheets=True),
    FileFormat(fhir, shipped_feed="fhir_r4", companions=fhir.companions),
    FileFormat(hl7v2, shipped_feed="hl7_oru"),
    FileFormat(parquet),
    FileFormat(sas, labels=sas.labels),
)
FORMATS: Final[Mapping[str, FileFormat]] = {each.kind: each for each in _REGISTERED}
"""Every format by its name in a feed description."""


def _spelt_out(written: Any) -> Any:
    return {"kind": written} if isinstance(written, str) else written


if TYPE_CHECKING:
    Format: TypeAlias = FormatOptions
else:
    # A type made of the registry, which no type checker can follow.
    Format = Annotated[
        reduce(or_, (each.options for each in _REGISTERED)),
        Field(discriminator="kind"),
        BeforeValidator(_spelt_out),
    ]
    """A format and its options; a bare word stands for a format with its defaults."""


def of(options: FormatOptions) -> FileFormat:
    """Return the format that options are of."""
    return FORMATS[options.kind]


def read(path: Path, options: FormatOptions) -> Iterator[Batch]:
    """Return the rows of a file, batch by batch.

    Raises
    ------
    RefusedFileError
        At any moment, with the rule that the file breaks; nothing of it may then be kept.
    """
    return of(options).reader.read(path, options)


def header(path: Path, options: FormatOptions) -> dict[str, list[str]]:
    """Return the columns of each record of a file; none where they are unknown."""
    return of(options).reader.header(path, options)
