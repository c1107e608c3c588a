"""A table as a file."""

from pathlib import Path

import polars as pl
import pytest

from e2analytics.errors import UnreadableError
from e2analytics.store.export import write_table


def test_a_folder_that_does_not_exist_is_an_error_of_ours(tmp_path: Path):
    with pytest.raises(UnreadableError, match="cannot be written"):
        write_table(pl.DataFrame({"run_id": ["run-000001"]}), tmp_path / "no" / "runs.csv", "csv")
