"""The file formats: for each the options that a feed description may give, and its reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Protocol, TypeAlias

from pydantic import BeforeValidator, Field

from e2analytics.feeds import delimited, excel, parquet, sas
from e2analytics.feeds.batch import Batch
from e2analytics.feeds.fhir import reader as fhir
from e2analytics.feeds.hl7v2 import reader as hl7v2

AnyOptions: TypeAlias = (
    delimited.Options | excel.Options | fhir.Options | hl7v2.Options | parquet.Options | sas.Options
)


def _spelt_out(written: Any) -> Any:
    return {"kind": written} if isinstance(written, str) else written


Format = Annotated[AnyOptions, Field(discriminator="kind"), BeforeValidator(_spelt_out)]
"""A format and its options; a bare word stands for a format with its defaults."""


class _Reader(Protocol):
    def read(self, path: Path, options: Any) -> Iterator[Batch]: ...

    def header(self, path: Path, options: Any) -> dict[str, list[str]]: ...


_READERS: Final[Mapping[str, _Reader]] = {
    "delimited": delimited,
    "excel": excel,
    "fhir": fhir,
    "hl7v2": hl7v2,
    "parquet": parquet,
    "sas": sas,
}


def read(path: Path, options: AnyOptions) -> Iterator[Batch]:
    """Return the rows of a file, batch by batch.

    Raises
    ------
    RefusedFileError
        At any moment, with the rule that the file breaks; nothing of it may then be kept.
    """
    return _READERS[options.kind].read(path, options)


def header(path: Path, options: AnyOptions) -> dict[str, list[str]]:
    """Return the columns of each record of a file; none where they are unknown."""
    return _READERS[options.kind].header(path, options)
