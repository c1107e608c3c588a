"""Which men a night computes: those with new rows, and those for whom time alone may change something.

All others keep their answers, as nothing that these depend on has changed. Where that cannot be told, all men are
computed: without a state of the run before, with other rules, settings, model or limit, on an earlier day, at the end of
a month, or with a file that may take the place of an older one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version as package_version
from typing import Final

import polars as pl

from e2analytics.curve import frozen_model
from e2analytics.ingest import ledger, superseded_files
from e2analytics.ingest.read_drop import Sources
from e2analytics.ingest.row_owners import number_of
from e2analytics.measures.rates import month_ends
from e2analytics.reference import schemas_folder
from e2analytics.run.frames import Run
from e2analytics.settings import Settings
from e2analytics.tables.categoricals import keys, repeated, to_contract_types
from e2analytics.tables.registry import CANONICAL, OF_MEN, key_of
from e2analytics.tables.snapshot import Snapshot
from e2analytics.tables.state import SHARED_SCHEMA

_NUMBERED: Final = tuple(
    table for table in CANONICAL if table in OF_MEN and "patient_id" not in number_of(table)
)
"""Tables whose rows have a number that is not their man's."""
_SEPARATOR: Final = "\x1f"


def basis(settings: Settings, model_id: str, limits: pl.DataFrame, as_of: date) -> str:
    """Return a digest of all that every man's answers depend on beside rows and the day."""
    chosen = settings.model_dump(mode="json", exclude={"report"})
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode())
    for text in (package_version("e2analytics"), model_id, f"{month_ends(as_of)[-1]}"):
        digest.update(text.encode())
    digest.update(limits.write_json().encode())
    for file in sorted((schemas_folder() / "reference").glob("*.yaml")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def men_concerned(sources: Sources, before: Snapshot, run: Run) -> pl.Series | None:
    """Return the men whose answers may differ from those of the run before; None: all men.

    Parameters
    ----------
    sources
        What is read now.
    before
        What the run before left.
    run
        This run.
    """
    state = before.state
    if state is None or run.scope == "ingest" or not _goes_on(before, run):
        return None
    if _read_again(sources, before) or "precision" in sources.rows:
        return None
    new = [
        rows.select(pl.col("patient_id").cast(pl.String))
        for table, rows in sources.rows.items()
        if table in OF_MEN
    ]
    due = state.due.filter(pl.col("due_on") <= run.as_of).select("patient_id")
    men = pl.concat([due, *new, *_of_same_number(sources, before)])["patient_id"]
    return with_shared_numbers(men.drop_nulls().unique(), state.shared)


def _goes_on(before: Snapshot, run: Run) -> bool:
    """Tell whether this run asks of all men what the run before did, on its day or later."""
    state, models, limits = before.state, before.table("models"), before.table("limits")
    if state is None or run.refit or run.adopt is not None or run.as_of < state.as_of:
        return False
    frozen = frozen_model.in_force(models, before.table("curve_summary"), run.settings, run.as_of)
    if frozen is None:
        return False
    return state.basis == basis(run.settings, frozen.model_id, limits, run.as_of)


def _read_again(sources: Sources, before: Snapshot) -> bool:
    """Tell whether a file is read again, or may take the place of an older one."""
    read = {file.source_file for file in sources.files if not file.refused}
    files = before.table("files")
    known = files.filter(pl.col("refused").is_null())["source_file"]
    if known.is_in([*read]).any():
        return True
    now = ledger.with_files_read_now(files, sources, run_id="")
    open_lines = before.table("quarantine").filter(pl.col("state") == "open")
    again = superseded_files.sent_again(now, read, open_lines)
    return any(
        _holds_all_of(
            sources.rows[pair["table"]], pair["again"], before, pair["table"], pair["source_file"]
        )
        for pair in again.iter_rows(named=True)
    )


def _holds_all_of(rows: pl.DataFrame, file: str, before: Snapshot, table: str, old: str) -> bool:
    """Tell whether a file has every number that an older one had."""
    key = key_of(table)
    of_file = pl.col("source_file") == old
    had = before.rows_where(table, ["source_file", *key], of_file).select(key).drop_nulls()
    has = to_contract_types(rows.filter(pl.col("source_file") == file).select(key), table)
    return len(had) > 0 and had.join(has, on=key, how="anti").is_empty()


def _of_same_number(sources: Sources, before: Snapshot) -> list[pl.DataFrame]:
    """Return the men of rows that have a number of a new row."""
    found = []
    for table in _NUMBERED:
        if table in sources.rows:
            number = number_of(table)
            new = sources.rows[table].select(pl.col(number).cast(pl.String)).unique()
            same_id = pl.col(number[-1]).is_in(new[number[-1]].unique().implode())
            known = before.rows_where(table, [*number, "patient_id"], same_id)
            found.append(known.join(new, on=number, how="semi").select("patient_id").unique())
    return found


def with_others(men: pl.Series, more: pl.Series, before: Snapshot) -> pl.Series:
    """Add men, and those who share the number of a row with them."""
    together = pl.concat([men, more]).unique()
    return with_shared_numbers(together, before.state.shared) if before.state else together


def with_shared_numbers(men: pl.Series, shared: pl.DataFrame) -> pl.Series:
    """Add the men who share the number of a row with these: whose it is, is settled among them."""
    number = ["table", "number"]
    while True:
        theirs = shared.filter(pl.col("patient_id").is_in(men.implode())).select(number)
        beside = shared.join(theirs, on=number, how="semi")["patient_id"]
        together = pl.concat([men, beside]).unique()
        if len(together) == len(men):
            return men
        men = together


def shared_numbers(rows: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the numbers that rows of several of these men have, with the men."""
    found = [pl.DataFrame(schema=SHARED_SCHEMA)]
    for table in _NUMBERED:
        named = rows[table].drop_nulls(["patient_id", *number_of(table)])
        several = named[_places_of_several(named, number_of(table))]
        found.append(
            several.select(
                pl.lit(table).alias("table"),
                pl.concat_str(
                    [pl.col(name).cast(pl.String) for name in number_of(table)],
                    separator=_SEPARATOR,
                ).alias("number"),
                pl.col("patient_id").cast(pl.String),
            ).unique()
        )
    return pl.concat(found)


def _places_of_several(rows: pl.DataFrame, number: list[str]) -> pl.Series:
    """Return the places of the rows whose number those of another man have, too."""
    numbers = keys(rows, number)
    patients = pl.DataFrame({"number": numbers, "patient_id": rows["patient_id"].to_physical()})
    several = patients.unique()["number"]
    return numbers.is_in(repeated(several).implode()).arg_true()
