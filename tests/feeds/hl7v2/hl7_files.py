"""Messages of HL7 v2 for tests, and what is read from them."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from e2analytics.feeds.hl7v2 import reader as hl7v2

MSH = "MSH|^~\\&|LIS|LAB|EHR|CLINIC|20240306090000-0500||ORU^R01^ORU_R01|M1|P|2.5.1"


PID = "PID|1||M001^^^CLINIC^MR||DOE^JOHN||19700131|M"


OBR = "OBR|1|PL1|F1|E2^Estradiol^L|||20240305080000-0500|||||||||||||||20240306080000-0500|||F"


OBX = "OBX|1|NM|2243-4^Estradiol^LN^E2^ESTRADIOL^L||23.4|pg/mL^^UCUM|10-40||||F"


def read(content: str | bytes) -> dict[str, pl.DataFrame]:
    """Return all rows of each record of a file."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "results.hl7"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        found: dict[str, list[pl.DataFrame]] = {}
        for record, rows in hl7v2.read(file, hl7v2.Options()):
            found.setdefault(record, []).append(rows)
    return {record: pl.concat(frames, how="diagonal") for record, frames in found.items()}


def a_message(*segments: str) -> str:
    return "\r".join(segments) + "\r"


def result(*segments: str) -> dict[str, Any]:
    """Return the only result of a message; its segments are given after MSH and PID."""
    return read(a_message(MSH, PID, *segments))["OBX"].row(0, named=True)


def fates(content: str | bytes) -> dict[str, int]:
    return {record: len(rows) for record, rows in read(content).items()}
