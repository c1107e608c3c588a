"""Reads results in HL7 version 2: ORU^R01 messages, alone or many in a file.

In    a file of messages (:mod:`e2analytics.feeds.hl7_messages`)
Out   rows of text, ``source_line`` the number of the segment in the file, and five records:

      ``PID``              every PID of an ORU^R01: a patient
      ``OBX``              every OBX of an ORU^R01: a result, with what its order and message say of it
      ``cancelled_order``  every OBR that says "cancelled" and has no OBX to say it of
      ``other``            every message of another type: its MSH
      ``damaged``          every message that cannot be parsed, or holds results and says not whose: its
                           MSH; every run of segments outside of a message: the first; every line of
                           fields in a message that is no segment. A result may be lost in each

Every message is therefore at least one row, and no PID or OBX is lost: it is a row, or its message
is. Other segments only lend their fields to these; blank lines and lines without fields are no rows.
A message that is not understood costs nothing of those around it. A file without any message, or
with one too long to be one, is refused.

Names, addresses and telephone numbers are not taken from a message. NTE comments are, because some
laboratories name the method there; they are never stored. Of no text more than its first 4,000
characters are taken.

Fields are those of HL7 v2.5.1, chapters 2A, 3.4.2 (PID), 4.5.3 (OBR) and 7.4.2 (OBX), which the other
releases share; the message's own delimiters (MSH-1, MSH-2) and character set (MSH-18) are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import hl7  # type: ignore[import-untyped]
import polars as pl
from pydantic import BaseModel

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.batch import Batch
from e2analytics.feeds.hl7_messages import LAST_FIELD, Message, Segment, messages

_PATIENT: Final = (
    "patient_id",  # PID-3.1 of the first identifier of type MR, else of the first
    "assigning_authority",  # PID-3.4.1 of the same
    "birth_date",  # PID-7
    "sex",  # PID-8
    "clinic",  # MSH-6.1, else PV1-3.4.1, else MSH-4.1
    "message_at",  # MSH-7
    "processing_id",  # MSH-11.1: P production, D debugging, T training
)
_RESULT: Final = (
    "patient_id",
    "assigning_authority",
    "placer",  # OBR-2.1, else ORC-2.1
    "filler",  # OBR-3.1, else OBR-2.1, else ORC-3.1
    "result_id",  # filler, OBX-3 code and OBX-4: the same in a result and its correction
    "code",  # OBX-3.1 to OBX-3.6
    "name",
    "code_system",
    "alternate_code",
    "alternate_name",
    "alternate_code_system",
    "loinc",  # whichever of the two codes is of LN
    "test_name",  # OBX-3.2, else OBX-3.5, else OBR-4.2 if it has no other result, else the code
    "value_type",  # OBX-2
    "value",  # OBX-5 in our writing: 23.4, <5, >=32
    "unit",  # OBX-6.1, else OBX-6.2
    "reference_range",  # OBX-7
    "status",  # OBX-11
    "order_status",  # OBR-25
    "collected_at",  # OBX-14, else OBR-7, else SPM-17.1
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
    "cancelled_order": ("patient_id", "placer", "filler", "order_status"),
    "other": ("message_type",),
    "damaged": (),
}

_ROWS_AT_ONCE: Final = 5_000
_FIRST_BYTES: Final = 2**16
# Each becomes an object in memory. A message of a thousand results has some thirty thousand.
_MOST_DELIMITERS: Final = 500_000
# Nothing that a result is read from is longer, and what an order says is repeated in each of its results.
_LONGEST_TEXT: Final = 4_000
_MOST_COMMENTS: Final = 100
_SHORTEST: Final = {b"PID": 8, b"OBX": 11}
"""Fields up to the last one that is needed, of a segment that the end of the file may have cut."""

_HEAD: Final = re.compile(rb"MSH([^A-Za-z0-9\s])([^A-Za-z0-9\s]{1,5})\1")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_LAYOUT: Final = re.compile(r"[\x00-\x1f\x7f\x85]+")
# What the library can undo; of anything else it would log the text, which may be a patient's.
_ESCAPED: Final = re.compile(
    r"[FSTREHN]|X(?:[0-9A-Fa-f]{2})+|\.(?:br|sp|fi|nf|in|ti|sk|ce)(?:\+?[0-9]{1,2})?"
)
_HIGHLIGHT: Final = {"H": "", "N": ""}

_COMPARATORS: Final = frozenset({"<", ">", "<=", ">=", "="})
_BETWEEN: Final = frozenset({"-", "+", "/", ".", ":"})
_CODED: Final = frozenset({"CE", "CWE", "CNE", "CF", "IS"})
_DOCUMENTS: Final = frozenset({"ED", "RP"})
_LOINC: Final = frozenset({"LN", "LOINC"})  # HL7 table 0396 has LN; some write the name
_CANCELLED: Final = "X"  # HL7 table 0123
_DTM: Final = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?:(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?P<second>[0-9]{2}(?:\.[0-9]+)?)?)?)?"
    r"(?P<offset>[+-][0-9]{4})?"
)


class Options(BaseModel, frozen=True, extra="forbid"):
    """HL7 messages say themselves how they are written: there is nothing to choose."""

    kind: Literal["hl7v2"] = "hl7v2"


def read(path: Path, options: Options) -> Iterator[Batch]:
    """Yield the rows of a file.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks: ``unreadable_file``, or one of
        :func:`e2analytics.feeds.hl7_messages.messages`.
    """
    found = _Found()
    try:
        with path.open("rb") as file:
            for message in messages(file):
                for record, row in _rows(message):
                    found.add(record, row)
                    if found.n_rows >= _ROWS_AT_ONCE:
                        yield from found.batches()
    except OSError:
        raise RefusedFileError("unreadable_file", "it cannot be opened or read") from None
    yield from found.batches()


def header(path: Path, options: Options) -> dict[str, list[str]]:
    """Return the columns of each record; none if no message is near the beginning."""
    with suppress(OSError), path.open("rb") as file:
        if _HEAD.search(file.read(_FIRST_BYTES)):
            return {record: list(columns) for record, columns in _COLUMNS.items()}
    return {}


class _Found:
    """Rows that were read and not yet handed over."""

    def __init__(self) -> None:
        self.n_rows = 0
        self._rows: dict[str, list[_Row]] = {}

    def add(self, record: str, row: _Row) -> None:
        self._rows.setdefault(record, []).append(row)
        self.n_rows += 1

    def batches(self) -> Iterator[Batch]:
        for record, rows in self._rows.items():
            schema: dict[str, Any] = dict.fromkeys(_COLUMNS[record], pl.String)
            schema |= {"source_line": pl.Int64, "short_line": pl.Boolean}
            yield Batch(record, pl.DataFrame(rows, schema=schema))
        self.n_rows = 0
        self._rows = {}


_Row = dict[str, str | int | bool | None]


class _Parsed:
    """One parsed segment, its fields by the numbers that HL7 gives them."""

    def __init__(self, number: int, message: Any, fields: Any, *, short: bool) -> None:
        self.number = number
        self.short = short
        self.name = str(fields[0])
        self._message = message
        self._fields = fields
        self._texts: dict[tuple[int, int, int, int], str | None] = {}

    def text(
        self, number: int, component: int = 0, sub: int = 0, *, repetition: int = 1
    ) -> str | None:
        """Return a field, component or subcomponent as text; none if it is empty or deleted."""
        place = (number, component, sub, repetition)
        if place not in self._texts:
            part = _child(self._field(number), repetition)
            for child in filter(None, (component, sub)):
                part = _child(part, child)
            self._texts[place] = _plain(self._message, str(part))
        return self._texts[place]

    def repetitions(self, number: int) -> range:
        """Return the numbers of the repetitions of a field."""
        return range(1, len(self._field(number)) + 1)

    def components(self, number: int, *, repetition: int) -> list[str]:
        """Return all components of a field as text."""
        part = _child(self._field(number), repetition)
        count = 1 if isinstance(part, str) else len(part)
        return [
            self.text(number, component, repetition=repetition) or ""
            for component in range(1, count + 1)
        ]

    def _field(self, number: int) -> Any:
        return self._fields[number] if number < len(self._fields) else ("",)


def _child(part: Any, number: int) -> Any:
    # A part that holds no delimiter is a text: its own first and only child.
    if isinstance(part, str):
        return part if number == 1 else ""
    return part[number - 1] if number <= len(part) else ""


def _plain(message: Any, text: str) -> str | None:
    text = text[:_LONGEST_TEXT]
    sequences = text.split(message.esc)
    # Escapes that are broken or unknown stay as written: nobody knows what was meant.
    if len(sequences) % 2 and all(_ESCAPED.fullmatch(each) for each in sequences[1::2]):
        text = message.unescape(text, _HIGHLIGHT)
    text = _LAYOUT.sub(" ", text).strip()
    return None if text in ("", hl7.NULL) else text


@dataclass
class _Patient:
    """A PID and what belongs to it."""

    pid: _Parsed | None = None
    patient_id: str | None = None
    authority: str | None = None
    ward: str | None = None

    @classmethod
    def of(cls, pid: _Parsed) -> _Patient:
        """Take the medical record number of a PID, or else its first identifier."""
        numbers = pid.repetitions(3)
        medical = (number for number in numbers if pid.text(3, 5, repetition=number) == "MR")
        chosen = next(medical, 1)
        authority = pid.text(3, 4, 1, repetition=chosen)
        return cls(pid, pid.text(3, 1, repetition=chosen), authority)


@dataclass
class _Order:
    """An OBR and what belongs to it."""

    patient: _Patient
    obr: _Parsed | None = None
    orc: _Parsed | None = None
    specimen: str | None = None
    comments: list[str] = field(default_factory=list)
    results: list[tuple[_Parsed, list[str]]] = field(default_factory=list)

    def text(self, number: int, component: int = 0) -> str | None:
        """Return a field of the OBR."""
        return self.obr.text(number, component) if self.obr else None

    def common(self, number: int) -> str | None:
        """Return a field of the ORC."""
        return self.orc.text(number, 1) if self.orc else None


def _rows(message: Message) -> Iterator[tuple[str, _Row]]:
    parsed = _parsed(message)
    names = {segment.name for segment in parsed}
    kind = "^".join(parsed[0].components(9, repetition=1)[:2]) if parsed else ""
    if parsed and _is_oru(parsed[0]) and "PID" in names:
        yield from _rows_of_oru(parsed)
    elif not parsed or ("OBX" in names and (_is_oru(parsed[0]) or not kind)):
        yield "damaged", _row(message.number)
    else:
        yield "other", _row(message.number, message_type=kind)
    for number in message.strays:
        yield "damaged", _row(number)


def _row(number: int, *, short_line: bool = False, **texts: str | None) -> _Row:
    return {"source_line": number, "short_line": short_line, **texts}


def _parsed(message: Message) -> list[_Parsed]:
    """Return the segments of a message, none if it cannot be parsed."""
    text = _decoded(message.segments)
    if text is None:
        return []
    try:
        parsed = hl7.parse(text)
    except Exception:  # whatever the library stumbled on may be a value: it is not passed on
        return []
    last = message.segments[-1]
    n_fields = last.content.count(message.segments[0].content[3:4])
    cut = not last.ended and n_fields < _SHORTEST.get(last.content[:3], 0)
    return [
        _Parsed(segment.number, parsed, fields, short=cut and segment is last)
        for segment, fields in zip(message.segments, parsed, strict=True)
    ]


def _decoded(segments: list[Segment]) -> str | None:
    head = _HEAD.match(segments[0].content) if segments else None
    if head is None:
        return None
    content = b"\r".join(_needed(segment.content, head[1]) for segment in segments)
    delimiters = head[1] + head[2]
    n_delimiters = sum(content.count(delimiters[i : i + 1]) for i in range(len(delimiters)))
    if len(set(delimiters)) < len(delimiters) or n_delimiters > _MOST_DELIMITERS:
        return None
    if _CONTROL.search(content):
        return None
    declared = segments[0].content.split(head[1])[17:18]
    for encoding in (_encoding(declared), "utf-8", "cp1252"):
        with suppress(LookupError, UnicodeDecodeError):
            return content.decode(encoding)
    return None


def _needed(segment: bytes, separator: bytes) -> bytes:
    n_fields = LAST_FIELD[segment[:3]] + 1
    return separator.join(segment.split(separator, n_fields)[:n_fields])


def _encoding(declared: list[bytes]) -> str:
    """Return Python's name of a character set of HL7 table 0211."""
    part = re.match(rb"8859/([0-9]+)", declared[0]) if declared else None
    if part is None:
        return "utf-8"
    # Windows-1252 is 8859-1 with letters where that has none.
    return "cp1252" if part[1] == b"1" else f"iso8859-{part[1].decode()}"


def _is_oru(msh: _Parsed) -> bool:
    # Before 2.3 the type stood alone.
    return msh.text(9, 1) == "ORU" and msh.text(9, 2) in ("R01", None)


def _rows_of_oru(segments: list[_Parsed]) -> Iterator[tuple[str, _Row]]:
    msh = segments[0]
    patients, orders = _groups(segments)
    for patient in patients:
        if patient.pid:
            yield "PID", _patient_row(msh, patient, patient.pid)
    for order in orders:
        for obx, comments in order.results:
            yield "OBX", _result_row(msh, order, obx, comments)
        if order.obr and not order.results and order.text(25) == _CANCELLED:
            yield "cancelled_order", _cancelled_row(order, order.obr)


def _groups(segments: list[_Parsed]) -> tuple[list[_Patient], list[_Order]]:
    """Group what belongs together: what stands after a PID is of it, and after an OBR too."""
    patients = [_Patient()]
    orders = [_Order(patients[0])]
    common: _Parsed | None = None
    comments: list[str] | None = None
    for segment in segments:
        patient, order = patients[-1], orders[-1]
        if segment.name == "NTE":
            if comments is not None and len(comments) < _MOST_COMMENTS:
                comments.extend(_comment(segment))
            continue
        comments = None
        match segment.name:
            case "PID":
                patients.append(_Patient.of(segment))
                orders.append(_Order(patients[-1]))
                common = None
            case "PV1":
                patient.ward = patient.ward or segment.text(3, 4, 1)
            case "ORC":
                common = segment
            case "OBR":
                orders.append(_Order(patient, segment, common))
                common = None
                comments = orders[-1].comments
            case "OBX":
                comments = []
                order.results.append((segment, comments))
            case "SPM":
                order.specimen = order.specimen or segment.text(17, 1)
    return patients, orders


def _comment(note: _Parsed) -> list[str]:
    texts = (note.text(3, repetition=number) for number in note.repetitions(3)[:_MOST_COMMENTS])
    return [text for text in texts if text]


def _patient_row(msh: _Parsed, patient: _Patient, pid: _Parsed) -> _Row:
    birth = _iso(pid.text(7, 1))
    return _row(
        pid.number,
        short_line=pid.short,
        patient_id=patient.patient_id,
        assigning_authority=patient.authority,
        birth_date=birth.partition("T")[0] if birth else None,
        sex=pid.text(8, 1),
        clinic=msh.text(6, 1) or patient.ward or msh.text(4, 1),
        message_at=_iso(msh.text(7, 1)),
        processing_id=msh.text(11, 1),
    )


def _result_row(msh: _Parsed, order: _Order, obx: _Parsed, comments: list[str]) -> _Row:
    code, name, system = (obx.text(3, component) for component in (1, 2, 3))
    code_2, name_2, system_2 = (obx.text(3, component) for component in (4, 5, 6))
    filler = _filler(order)
    # The name of an order that has several results may be that of another one.
    only = order.text(4, 2) if len(order.results) == 1 else None
    return _row(
        obx.number,
        short_line=obx.short,
        patient_id=order.patient.patient_id,
        assigning_authority=order.patient.authority,
        placer=_placer(order),
        filler=filler,
        result_id=_result_id(filler, code or code_2, obx.text(4)),
        code=code,
        name=name,
        code_system=system,
        alternate_code=code_2,
        alternate_name=name_2,
        alternate_code_system=system_2,
        loinc=code if system in _LOINC else code_2 if system_2 in _LOINC else None,
        test_name=name or name_2 or only or code or code_2,
        value_type=obx.text(2),
        value=_value(obx),
        unit=obx.text(6, 1) or obx.text(6, 2),
        reference_range=obx.text(7),
        status=obx.text(11),
        order_status=order.text(25),
        collected_at=_iso(obx.text(14, 1) or order.text(7, 1) or order.specimen),
        reported_at=_iso(order.text(22, 1) or obx.text(19, 1) or msh.text(7, 1)),
        method=" ".join(filter(None, (obx.text(17, 2), obx.text(17, 1)))) or None,
        performing_lab=obx.text(23, 1) or obx.text(15, 1) or obx.text(15, 2) or msh.text(4, 1),
        comment=" | ".join([*comments, *order.comments])[:_LONGEST_TEXT] or None,
        sending_facility=msh.text(4, 1),
        message_id=msh.text(10),
        processing_id=msh.text(11, 1),
    )


def _cancelled_row(order: _Order, obr: _Parsed) -> _Row:
    return _row(
        obr.number,
        patient_id=order.patient.patient_id,
        placer=_placer(order),
        filler=_filler(order),
        order_status=order.text(25),
    )


def _placer(order: _Order) -> str | None:
    return order.text(2, 1) or order.common(2)


def _filler(order: _Order) -> str | None:
    return order.text(3, 1) or order.text(2, 1) or order.common(3)


def _result_id(filler: str | None, code: str | None, sub_id: str | None) -> str | None:
    if filler is None or code is None:
        return None
    return "-".join(filter(None, (filler, code, sub_id)))


def _value(obx: _Parsed) -> str | None:
    kind = obx.text(2)
    if kind in _DOCUMENTS:
        return None
    values = (_one_value(obx, kind, number) for number in obx.repetitions(5))
    return "; ".join(value for value in values if value)[:_LONGEST_TEXT] or None


def _one_value(obx: _Parsed, kind: str | None, repetition: int) -> str | None:
    components = obx.components(5, repetition=repetition)
    if kind in _CODED or not any(components):
        return next((each for each in (*components[1:2], *components) if each), None)
    if (kind == "SN" or components[0] in _COMPARATORS) and (number := _structured(components)):
        return number
    return obx.text(5, repetition=repetition)


def _structured(components: list[str]) -> str | None:
    """Write a structured numeric (comparator, number, separator, number) as one text.

    >>> _structured(["<", "5"]), _structured(["=", "0.5"]), _structured(["", "1", ":", "128"])
    ('<5', '0.5', '1:128')

    Nothing if it is no such thing: joined, its parts could look like another number.

    >>> _structured(["5", "10"])
    """
    shifted = ["", *components] if components[0] not in (_COMPARATORS | {""}) else components
    comparator, first, between, second, *more = [*shifted, "", "", ""]
    if any(more) or between not in (_BETWEEN | {""}) or (second and not between):
        return None
    return "".join(("" if comparator == "=" else comparator, first, between, second))


def _iso(written: str | None) -> str | None:
    """Write a time of HL7 as ISO 8601, as exact as it is; what is none, or no day, stays.

    >>> _iso("20240305"), _iso("202403051407-0500"), _iso("202403")
    ('2024-03-05', '2024-03-05T14:07-0500', '202403')
    """
    time = _DTM.fullmatch(written or "")
    if time is None:
        return written
    day = f"{time['year']}-{time['month']}-{time['day']}"
    if time["hour"] is None:
        return day
    clock = f"{time['hour']}:{time['minute'] or '00'}"
    second = f":{time['second']}" if time["second"] else ""
    return f"{day}T{clock}{second}{time['offset'] or ''}"
