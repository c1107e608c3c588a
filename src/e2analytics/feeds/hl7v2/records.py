"""Records of HL7 version 2: the rows that a message holds.

In    :class:`~e2analytics.feeds.hl7v2.messages.Message`
Out   rows of text, each with the name of its record; a message is at least one row

Fields are those of HL7 v2.5.1, chapters 3.4.2 (PID), 4.5.3 (OBR) and 7.4.2 (OBX).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from e2analytics.feeds.hl7v2.messages import Message
from e2analytics.feeds.hl7v2.segments import LONGEST_TEXT, Parsed, parse
from e2analytics.feeds.hl7v2.values import iso, value

Row: TypeAlias = dict[str, str | int | bool | None]

_MOST_COMMENTS: Final = 100
_LOINC: Final = frozenset({"LN", "LOINC"})  # HL7 table 0396 has LN; some write the name
_CANCELLED: Final = "X"  # HL7 table 0123


def rows_of(message: Message) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a message, each with the name of its record."""
    parsed = parse(message)
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


@dataclass
class _Patient:
    """A PID and what belongs to it."""

    pid: Parsed | None = None
    patient_id: str | None = None
    authority: str | None = None
    ward: str | None = None

    @classmethod
    def of(cls, pid: Parsed) -> _Patient:
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
    obr: Parsed | None = None
    orc: Parsed | None = None
    specimen: str | None = None
    comments: list[str] = field(default_factory=list)
    results: list[tuple[Parsed, list[str]]] = field(default_factory=list)

    def text(self, number: int, component: int = 0) -> str | None:
        """Return a field of the OBR."""
        return self.obr.text(number, component) if self.obr else None

    def common(self, number: int) -> str | None:
        """Return a field of the ORC."""
        return self.orc.text(number, 1) if self.orc else None


def _row(number: int, *, short_line: bool = False, **texts: str | None) -> Row:
    return {"source_line": number, "short_line": short_line, **texts}


def _is_oru(msh: Parsed) -> bool:
    # Before 2.3 the type stood alone.
    return msh.text(9, 1) == "ORU" and msh.text(9, 2) in ("R01", None)


def _rows_of_oru(segments: list[Parsed]) -> Iterator[tuple[str, Row]]:
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


def _groups(segments: list[Parsed]) -> tuple[list[_Patient], list[_Order]]:
    """Group segments: those after a PID are of that patient, those after an OBR of that order."""
    patients = [_Patient()]
    orders = [_Order(patients[0])]
    common: Parsed | None = None
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


def _comment(note: Parsed) -> list[str]:
    texts = (note.text(3, repetition=number) for number in note.repetitions(3)[:_MOST_COMMENTS])
    return [text for text in texts if text]


def _patient_row(msh: Parsed, patient: _Patient, pid: Parsed) -> Row:
    birth = iso(pid.text(7, 1))
    return _row(
        pid.number,
        short_line=pid.short,
        patient_id=patient.patient_id,
        assigning_authority=patient.authority,
        birth_date=birth.partition("T")[0] if birth else None,
        sex=pid.text(8, 1),
        clinic=msh.text(6, 1) or patient.ward or msh.text(4, 1),
        message_at=iso(msh.text(7, 1)),
        processing_id=msh.text(11, 1),
    )


def _result_row(msh: Parsed, order: _Order, obx: Parsed, comments: list[str]) -> Row:
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
        value=value(obx),
        unit=obx.text(6, 1) or obx.text(6, 2),
        reference_range=obx.text(7),
        status=obx.text(11),
        order_status=order.text(25),
        collected_at=iso(obx.text(14, 1) or order.text(7, 1) or order.specimen),
        reported_at=iso(order.text(22, 1) or obx.text(19, 1) or msh.text(7, 1)),
        method=" ".join(filter(None, (obx.text(17, 2), obx.text(17, 1)))) or None,
        performing_lab=obx.text(23, 1) or obx.text(15, 1) or obx.text(15, 2) or msh.text(4, 1),
        comment=" | ".join([*comments, *order.comments])[:LONGEST_TEXT] or None,
        sending_facility=msh.text(4, 1),
        message_id=msh.text(10),
        processing_id=msh.text(11, 1),
    )


def _cancelled_row(order: _Order, obr: Parsed) -> Row:
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
