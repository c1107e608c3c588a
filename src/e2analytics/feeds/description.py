"""What a feed description may say: ``schemas/feeds/*.yaml``, checked when it is loaded.

A description maps a supplier's columns to the columns of a table of e2analytics. It is the analyst's
door: a new supplier is a new YAML file, no Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, Discriminator, Tag, ValidationError, model_validator

from e2analytics.errors import ConfigurationError
from e2analytics.reference import schemas_folder

TEXT_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "patients": (
        "patient_id",
        "clinic_id",
        "sex",
        "birth_date",
        "height_cm",
        "weight_kg",
        "trt_started_on",
    ),
    "labs": (
        "result_id",
        "patient_id",
        "collected_at",
        "loinc",
        "test_name",
        "value",
        "unit",
        "method",
        "performing_lab",
        "status",
        "reported_at",
    ),
    "dxa": (
        "scan_id",
        "patient_id",
        "scanned_on",
        "site",
        "bmd_g_cm2",
        "t_score",
        "z_score",
        "scanner_id",
        "manufacturer",
        "body_fat_pct",
        "vertebrae",
        "side",
        "reference_db",
    ),
    "medications": (
        "order_id",
        "patient_id",
        "drug",
        "rxnorm",
        "dose_mg",
        "doses_per_week",
        "sig",
        "started_on",
        "stopped_on",
    ),
    "events": ("event_id", "patient_id", "kind", "occurred_on"),
    "precision": ("clinic_id", "scanner_id", "site", "cv_pct"),
}
"""Columns of each table as a supplier may fill them, all of them text."""

Target = Literal["patients", "labs", "dxa", "medications", "events", "precision"]


class _Entry(BaseModel, frozen=True, extra="forbid"):
    pass


class Equals(_Entry):
    """A condition on a source column."""

    column: str
    equals: str


class BelowDetection(Equals):
    """A comment column that says: below ``limit``; the value then becomes ``<limit``."""

    limit: float


class Constant(_Entry):
    """The same text in every row."""

    constant: str | date


class Column(_Entry):
    """A source column, perhaps recoded."""

    column: str
    values: dict[str, str] | None = None
    prefix: str = ""
    below_detection: BelowDetection | None = None


class Age(_Entry):
    """A birth date that stands for an age in whole years on a day."""

    age_years: str
    known_on: date


def _kind(source: Any) -> str:
    if isinstance(source, str):
        return "name"
    keys = source if isinstance(source, dict) else source.model_fields_set
    return next((kind for kind in ("constant", "age_years") if kind in keys), "column")


Source = Annotated[
    Annotated[str, Tag("name")]
    | Annotated[Constant, Tag("constant")]
    | Annotated[Age, Tag("age_years")]
    | Annotated[Column, Tag("column")],
    Discriminator(_kind),
]


class FileDescription(_Entry):
    """How one kind of file of a feed becomes rows of one table."""

    target: Target
    name: str
    required: tuple[str, ...]
    one_of: tuple[str, ...] = ()
    columns: dict[str, Source]
    parts: tuple[dict[str, Source], ...] = ({},)
    valid_when: Equals | None = None
    not_measured_when_empty: str | None = None
    imputed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fills_only_columns_of_its_table(self) -> FileDescription:
        known = TEXT_COLUMNS[self.target]
        filled = [*self.columns, *(name for part in self.parts for name in part)]
        if unknown := sorted(set(filled) - set(known)):
            raise ValueError(f"{self.target} has no column {', '.join(unknown)}; it has {known}")
        return self

    def id_prefixes(self) -> dict[str, str]:
        """Return the row's own ids that are made of the patient's number, with their prefix."""
        patient = self.columns.get("patient_id")
        return {
            name: source.prefix if isinstance(source, Column) else ""
            for name, source in self.columns.items()
            if name.endswith("_id") and name != "patient_id" and _same_column(source, patient)
        }

    def matches(self, file_name: str) -> bool:
        """Tell whether a file of this name is one of these; case does not count."""
        return fnmatchcase(file_name.lower(), self.name.lower())


def _same_column(source: Source, patient: Source | None) -> bool:
    names = [each.column if isinstance(each, Column) else each for each in (source, patient)]
    return isinstance(names[0], str) and names[0] == names[1]


class Feed(_Entry):
    """One supplier's layout."""

    feed: str
    description: str
    namespace: str = "default"
    format: Literal["delimited", "sas"]
    files: tuple[FileDescription, ...]


def load_feeds(more: Path | None = None) -> tuple[Feed, ...]:
    """Return the feed descriptions, those of the folder ``more`` first.

    Raises
    ------
    ConfigurationError
        If one cannot be understood; the message names the file and the key.
    """
    if more is not None and not more.is_dir():
        raise ConfigurationError(f"There is no folder {more} of feed descriptions (feeds_folder).")
    folders = [folder for folder in (more, schemas_folder() / "feeds") if folder is not None]
    return tuple(_load(file) for folder in folders for file in sorted(folder.glob("*.yaml")))


def _load(file: Path) -> Feed:
    try:
        return Feed.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The feed description {file} cannot be read: {error}.") from None
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigurationError(f"The feed description {file} is wrong:\n{problems}") from None


def match(feeds: Sequence[Feed], file_name: str) -> tuple[Feed, FileDescription] | None:
    """Return the first feed and kind of file that ``file_name`` belongs to."""
    return next(
        ((feed, kind) for feed in feeds for kind in feed.files if kind.matches(file_name)), None
    )
