"""The base of all contracts, and the facts that each states of its table in ``Config``.

A contract promises grain, columns, units and meaning. ``schemas/contracts/*.yaml`` is exported from the
contracts by ``e2analytics schemas``; a test keeps the two equal. What a supplier's *row* must satisfy
before it may enter a table stands in ``ingest.rules``: those rules quarantine rows, these contracts stop
the run.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal, TypeAlias

import pandera.polars as pa
import polars as pl
from pandera.polars import DataFrameSchema

Kind: TypeAlias = Literal["canonical", "ledger", "derived", "run"]
Utc: TypeAlias = Annotated[pl.Datetime, "us", "UTC"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the code knows of a table beyond its columns.

    Attributes
    ----------
    kind
        ``canonical``: rows of suppliers; ``ledger``: what became of them; ``derived``: results of an
        analysis; ``run``: manifests.
    key
        Columns that identify a row: the grain.
    key_checked
        Whether the contract checks that the key is unique. False where the step that makes the table
        guarantees it.
    order
        Columns that sort the rows, whatever order files are read in; the key unless stated.
    event_date
        Column with the day on which a row happened.
    of_the_day
        Columns that hold the as-of day of the run, where no row gives another one.
    carried_over
        Whether a run continues the table of the last run. False: the table belongs to the day that the
        run is as of.
    """

    kind: Kind = "derived"
    key: tuple[str, ...] = ()
    key_checked: bool = True
    order: tuple[str, ...] = ()
    event_date: str | None = None
    of_the_day: tuple[str, ...] = ()
    carried_over: bool = False


class Table(pa.DataFrameModel):
    """Base of all contracts: no column more, none less, none of another type."""

    _facts = Facts()

    class Config:
        """Strictness shared by all tables."""

        strict = True
        ordered = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Take the facts out of ``Config``: pandera reads any name that it does not know as a check."""
        config = cls.__dict__.get("Config")
        names = [each.name for each in fields(Facts) if each.name in vars(config or object)]
        cls._facts = replace(cls._facts, **{name: vars(config)[name] for name in names})
        for name in names:
            delattr(config, name)
        super().__init_subclass__(**kwargs)  # type: ignore[no-untyped-call]  # pandera types it not

    @classmethod
    def facts(cls) -> Facts:
        """Return the facts of the table; what a contract does not state it has from its base."""
        return cls._facts

    @classmethod
    def build_schema_(cls, **kwargs: Any) -> DataFrameSchema:
        """Build pandera's schema, which checks the key."""
        schema = super().build_schema_(**kwargs)
        key = cls._facts.key if cls._facts.key_checked else ()
        if len(key) == 1:
            schema.columns[key[0]].unique = True
        elif key:
            schema.unique = list(key)
        return schema
