"""Reads HL7 version 2: results (ORU^R01) and orders of drugs, alone or many in a file.

In    a file of messages (:mod:`e2analytics.feeds.hl7v2.messages`)
Out   rows of text, ``source_line`` the number of the segment in the file, and six records:

      ``PID``              every PID of an ORU^R01 or of a message about drugs: a patient
      ``OBX``              every OBX of an ORU^R01: a result, with the fields of its order and message
      ``RX``               every order, dispensing or given dose of an RDE, RDS or RAS (``pharmacy``)
      ``cancelled_order``  every OBR with the status "cancelled" and without an OBX
      ``other``            every message of another type: its MSH
      ``damaged``          every message that cannot be parsed, or holds results of an unknown patient: its
                           MSH; every run of segments outside of a message: the first; every line of
                           fields in a message that is no segment. A result may be lost in each

Every message is therefore at least one row, and no PID or OBX is lost: it is a row, or its message
is. Other segments only lend their fields to these; blank lines and lines without fields are no rows.
A damaged message does not affect those around it. A file without any message, or
with one too long to be one, is refused.

A time without an offset has that of MSH-7, if it has one. Names, addresses and telephone numbers are not read. NTE comments are, because some laboratories
name the method there; they are never stored. Only the first 4,000 characters of a text are read.

Fields are those of HL7 v2.5.1, chapters 2A, 3.4.2 (PID), 4.5.3 (OBR) and 7.4.2 (OBX), which the other
releases share; the message's own delimiters (MSH-1, MSH-2) and character set (MSH-18) are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.batch import Batch
from e2analytics.feeds.hl7v2 import pharmacy
from e2analytics.feeds.hl7v2.messages import messages
from e2analytics.feeds.hl7v2.records import PATIENT_NUMBERS, Row, rows_of
from e2analytics.feeds.hl7v2.segments import HEAD
from e2analytics.feeds.reader import Beginning, FormatOptions

_PATIENT: Final = (
    "patient_id",  # PID-3.1 of the first identifier of type MR, else of the first; none if a specimen's
    "assigning_authority",  # PID-3.4.1 of the same, else PID-3.4.2
    *PATIENT_NUMBERS,  # PID-3.1 of the first, and of each type; PID-2.1, PID-4.1, PID-18.1
    "birth_date",  # PID-7
    "sex",  # PID-8
    "clinic",  # MSH-6.1, else PV1-3.4.1, else MSH-4.1, MSH-5.1, MSH-3.1
    "message_at",  # MSH-7
    "processing_id",  # MSH-11.1: P production, D debugging, T training
)
_RESULT: Final = (
    "patient_id",
    "assigning_authority",
    *PATIENT_NUMBERS,
    "placer",  # OBR-2.1, else ORC-2.1
    "filler",  # OBR-3.1, else OBR-2.1, ORC-3.1, ORC-2.1; of a group's code the draw tells orders apart
    "result_id",  # filler with its authority, OBX-3 code and OBX-4: the same in a result and its correction
    "code",  # OBX-3.1 to OBX-3.6
    "name",
    "code_system",
    "alternate_code",
    "alternate_name",
    "alternate_code_system",
    "loinc",  # whichever of the two codes is of LN
    "test_name",  # OBX-3.2, else OBX-3.5, else OBR-4.2 if it has no other result, else the code
    "value_type",  # OBX-2
    "value",  # OBX-5, with a "<" or ">" of OBX-8, in our writing: 23.4, <5, >=32
    "unit",  # OBX-6.1, else OBX-6.2
    "reference_range",  # OBX-7
    "status",  # OBX-11
    "order_status",  # OBR-25
    "collected_at",  # OBR-7, else SPM-17.1, else OBX-14 unless it is OBR-22 or MSH-7 again
    "reported_at",  # OBR-22, else OBX-19, else MSH-7
    "method",  # OBX-17.2 and OBX-17.1
    "performing_lab",  # OBX-23.1, else OBX-15.1, else OBX-15.2, else MSH-4.1
    "comment",  # NTE-3 of the OBX, then of its OBR
    "sending_facility",  # MSH-4.1
    "message_id",  # MSH-10
    "processing_id",
)
_COLUMNS: Final = {
    "PID": _PATIENT,
    "OBX": _RESULT,
    pharmacy.RECORD: (
        "patient_id",
        "assigning_authority",
        *PATIENT_NUMBERS,
        *pharmacy.COLUMNS,
        "message_id",
        "processing_id",
    ),
    "cancelled_order": ("patient_id", "placer", "filler", "order_status"),
    "other": ("message_type",),
    "damaged": (),
}

SENDER: Final = "sender"
"""The record of a header whose columns are who sent the file's messages."""

_HEAD_FIELDS: Final = re.compile(HEAD.pattern + rb"(?P<rest>[^\r\n]*)")
_ROWS_AT_ONCE: Final = 5_000
_FIRST_BYTES: Final = 2**16
_FIRST_SEGMENT: Final = re.compile(rb"^[\s\x0b]*(?:MSH|FHS|BHS)[^\w\s]")


class Options(FormatOptions, frozen=True):
    """HL7 version 2 has no options: each message declares its own encoding."""

    kind: Literal["hl7v2"] = "hl7v2"


def read(path: Path, options: Options) -> Iterator[Batch]:
    """Yield the rows of a file.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks: ``unreadable_file``, or one of
        :func:`e2analytics.feeds.hl7v2.messages.messages`.
    """
    buffer = _Buffer()
    try:
        with path.open("rb") as file:
            for message in messages(file):
                for record, row in rows_of(message):
                    buffer.add(record, row)
                    if buffer.n_rows >= _ROWS_AT_ONCE:
                        yield from buffer.batches()
    except OSError:
        raise RefusedFileError("unreadable_file", "it cannot be opened or read") from None
    yield from buffer.batches()


def header(path: Path, options: Options) -> dict[str, list[str]]:
    """Return the columns of each record; none if no message is near the beginning.

    A description may ask for a sender (MSH-3.1, MSH-4.1): those near the beginning are as columns of a
    record :data:`SENDER`, which has no rows.
    """
    with suppress(OSError), path.open("rb") as file:
        heads = list(_HEAD_FIELDS.finditer(file.read(_FIRST_BYTES)))
        if heads:
            columns = {record: list(names) for record, names in _COLUMNS.items()}
            return columns | {SENDER: _senders(heads)}
    return {}


def _senders(heads: list[re.Match[bytes]]) -> list[str]:
    parts = (
        re.split(rb"[%b]" % re.escape(head[2]), field)[0].decode(errors="replace").strip()
        for head in heads
        for field in head["rest"].split(head[1])[:2]
    )
    return list(dict.fromkeys(filter(None, parts)))


def looks_like(beginning: Beginning) -> bool:
    """Return whether a file begins with a message, or with the header of a file or batch of them."""
    return _FIRST_SEGMENT.match(beginning.text[:100].encode()) is not None


class _Buffer:
    """Rows that were read and not yet yielded."""

    def __init__(self) -> None:
        self.n_rows = 0
        self._rows: dict[str, list[Row]] = {}

    def add(self, record: str, row: Row) -> None:
        self._rows.setdefault(record, []).append(row)
        self.n_rows += 1

    def batches(self) -> Iterator[Batch]:
        for record, rows in self._rows.items():
            schema: dict[str, Any] = dict.fromkeys(_COLUMNS[record], pl.String)
            schema |= {"source_line": pl.Int64, "short_line": pl.Boolean}
            yield Batch(record, pl.DataFrame(rows, schema=schema))
        self.n_rows = 0
        self._rows = {}
