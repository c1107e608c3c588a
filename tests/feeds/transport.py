"""Writes small SAS transport files (XPORT version 5), as the specification lays them out."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import NamedTuple


class Column(NamedTuple):
    """A column: numbers of a format such as DATE, or texts of a width."""

    name: str
    label: str = ""
    format: str = ""
    width: int = 0
    """Of texts; 0 for numbers."""
    shown: int = 0
    """Width of the format."""


def transport(columns: Sequence[Column], rows: Sequence[Sequence[float | str | None]]) -> bytes:
    """Return a file of one table."""

    def header(kind: str, numbers: str = "0" * 30) -> str:
        return f"HEADER RECORD*******{kind:<8}HEADER RECORD!!!!!!!{numbers}  "

    saved = "01JAN26:00:00:00"
    fields, position = b"", 0
    for place, column in enumerate(columns, start=1):
        length = column.width or 8
        fields += struct.pack(
            ">hhhh8s40s8shhh2s8shhl52s",
            *(2 if column.width else 1, 0, length, place, column.name.encode().ljust(8)),
            *(
                column.label.encode().ljust(40),
                column.format.encode().ljust(8),
                column.shown,
                0,
                0,
                b"  ",
            ),
            *(b" " * 8, 0, 0, position, b""),
        )
        position += length
    head = [
        header("LIBRARY"),
        f"{'SAS     SAS     SASLIB  6.06    bsd4.2':<64}{saved}",
        f"{saved:<80}",
        header("MEMBER", "000000000000000001600000000140"),
        header("DSCRPTR"),
        f"{'SAS     TABLE   SASDATA 6.06    bsd4.2':<64}{saved}",
        f"{saved:<80}",
        header("NAMESTR", f"000000{len(columns):04d}00000000000000000000"),
    ]
    body = b"".join(
        f"{value}".encode().ljust(column.width) if column.width else ibm(value)
        for row in rows
        for column, value in zip(columns, row, strict=True)
    )
    parts = ["".join(head).encode(), fields, header("OBS").encode(), body]
    return b"".join(part + b" " * (-len(part) % 80) for part in parts)


def ibm(number: float | str | None) -> bytes:
    """Return a number as IBM's floating point has it; none is SAS's missing value."""
    if number is None:
        return b"." + bytes(7)
    value = float(number)
    if not value:
        return bytes(8)
    exponent = math.floor(math.log(abs(value), 16)) + 1
    fraction = round(abs(value) / 16.0**exponent * 2**56)
    return struct.pack(">Q", (value < 0) << 63 | (exponent + 64) << 56 | fraction)
