"""Reads SAS transport files (XPORT, version 5).

In    the bytes of a file
Out   every column as text, missing null, whole numbers without a decimal point, and ``source_line``:
      the number of the observation, counted like the lines of a text file whose header is line 1
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from e2analytics.errors import RefusedFileError

if TYPE_CHECKING:
    import pandas as pd

_HEADER = b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!"
# pandas returns the zeros of XPORT as 5.4e-79, the smallest number of IBM's format.
_IBM_ZERO = 1e-70


def read(content: bytes) -> pl.DataFrame:
    """Return the observations of a file.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks.
    """
    import pandas as pd  # a second that only those who read SAS need to wait

    if not content.strip():
        raise RefusedFileError("empty_file", "it holds nothing")
    if not content.startswith(_HEADER):
        raise RefusedFileError("not_sas_transport", "it does not begin like a SAS transport file")
    if len(content) % 80:
        raise RefusedFileError("truncated_file", "it does not end on a record of 80 bytes")
    try:
        frame = pd.read_sas(BytesIO(content), format="xport", encoding="utf-8")
    except Exception:
        # Not chained: whatever the reader stumbled on may be a value.
        raise RefusedFileError("not_sas_transport", "its records cannot be read") from None
    columns = {str(name): _as_text(frame[name]) for name in frame.columns}
    return pl.DataFrame(columns).with_columns(
        source_line=pl.int_range(pl.len(), dtype=pl.Int64) + 2, short_line=pl.lit(False)
    )


def _as_text(values: pd.Series[float]) -> pl.Series:
    if values.dtype.kind not in "fiu":
        return pl.Series(values.to_list(), dtype=pl.String).str.strip_chars().replace("", None)
    numbers = values.to_numpy(dtype=float)
    numbers = np.where(np.abs(numbers) < _IBM_ZERO, 0.0, numbers)
    texts = pl.Series(numbers).fill_nan(None).cast(pl.String)
    return texts.str.strip_suffix(".0")
