"""Reads SAS transport files (XPORT, version 5).

In    the bytes of a file
Out   every column as text, missing null, whole numbers without a decimal point, and ``source_line``:
      the number of the observation, counted like the lines of a text file whose header is line 1
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.batch import Batch
from e2analytics.feeds.columns import named

if TYPE_CHECKING:
    import pandas as pd

_HEADER: Final = b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!"
# pandas returns the zeros of XPORT as 5.4e-79, the smallest number of IBM's format.
_IBM_ZERO: Final = 1e-70


class Options(BaseModel, frozen=True, extra="forbid"):
    """SAS transport has nothing to choose."""

    kind: Literal["sas"] = "sas"


def read(path: Path, options: Options) -> Iterator[Batch]:
    """Yield the observations of a file, all at once.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks.
    """
    content = _content(path)
    import pandas as pd  # a second that only those who read SAS need to wait

    try:
        frame = pd.read_sas(BytesIO(content), format="xport", encoding="utf-8")
    except Exception:
        # Not chained: whatever the reader stumbled on may be a value.
        raise RefusedFileError("not_sas_transport", "its records cannot be read") from None
    names = named(map(str, frame.columns))
    rows = pl.DataFrame({name: _as_text(frame.iloc[:, place]) for place, name in enumerate(names)})
    yield Batch(
        "",
        rows.with_columns(
            source_line=pl.int_range(pl.len(), dtype=pl.Int64) + 2, short_line=pl.lit(False)
        ),
    )


def header(path: Path, options: Options) -> dict[str, list[str]]:
    """Return the columns of a file; none where they cannot be told."""
    try:
        content = BytesIO(_content(path))
        import pandas as pd

        with pd.read_sas(content, format="xport", encoding="utf-8", iterator=True) as reader:
            return {"": named(reader.read(1).columns)}
    except Exception:
        return {}


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError:
        # Not chained: the name of the file may be a patient's.
        raise RefusedFileError("unreadable_file", "it cannot be read") from None
    if not content.strip():
        raise RefusedFileError("empty_file", "it holds nothing")
    if not content.startswith(_HEADER):
        raise RefusedFileError("not_sas_transport", "it does not begin like a SAS transport file")
    if len(content) % 80:
        raise RefusedFileError("truncated_file", "it does not end on a record of 80 bytes")
    return content


def _as_text(values: pd.Series[float]) -> pl.Series:
    if values.dtype.kind not in "fiu":
        return pl.Series(values.to_list(), dtype=pl.String).str.strip_chars().replace("", None)
    numbers = values.to_numpy(dtype=float)
    numbers = np.where(np.abs(numbers) < _IBM_ZERO, 0.0, numbers)
    texts = pl.Series(numbers).fill_nan(None).cast(pl.String)
    return texts.str.strip_suffix(".0")
