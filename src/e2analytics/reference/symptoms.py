"""Which symptoms are followed, and how they are written: ``symptoms.yaml``."""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics import reference

_BETWEEN_WORDS: Final = r"[\s_\p{Pd}]+"
_BETWEEN_NAMES: Final = r"[/,;]"


def kinds() -> tuple[str, ...]:
    """Return the symptoms that are followed.

    >>> kinds()[:2]
    ('breast_tenderness', 'gynaecomastia')
    """
    return tuple(reference.load("symptoms")["symptoms"])


def kind_of(written: pl.Expr) -> pl.Expr:
    """Return which symptom is written, or null where not every word of it is understood.

    Several names beside each other must all be of one kind.

    >>> said = pl.DataFrame({"said": ["Hot-flash", "fluid retention / edema", "no edema", "edema, mood"]})
    >>> said.select(kind=kind_of(pl.col("said")))["kind"].to_list()
    ['hot_flush', 'fluid_retention', None, None]
    """
    spellings = {
        spelling: kind
        for kind, entry in reference.load("symptoms")["symptoms"].items()
        for spelling in entry["spellings"]
    }
    names = (
        written.str.to_lowercase()
        .str.replace_all(_BETWEEN_WORDS, " ")
        .str.replace_all(_BETWEEN_NAMES, "/")
        .str.split("/")
    )
    of_each = names.list.eval(
        pl.element()
        .str.strip_chars()
        .replace_strict(spellings, default=None, return_dtype=pl.String)
    )
    # A null among them counts as a kind of its own.
    return pl.when(of_each.list.n_unique() == 1).then(of_each.list.first())
