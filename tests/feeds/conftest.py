"""What tests of readers share: a file from bytes, read into one frame."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl


def read_bytes(
    reader: ModuleType, content: bytes, name: str = "file", **options: Any
) -> pl.DataFrame:
    """Return all rows of a file with this content, whatever batches they came in."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        batches = list(reader.read(path, reader.Options(**options)))
    return pl.concat([batch.rows for batch in batches], how="diagonal")
