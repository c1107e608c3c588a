"""Records of HL7 version 2: the rows that a message holds.

In    :class:`~e2analytics.feeds.hl7v2.messages.Message`
Out   rows of text, each with the name of its record; a message is at least one row

Fields are those of HL7 v2.5.1, chapters 3.4.2 (PID), 4.5.3 (OBR) and 7.4.2 (OBX). The offset of MSH-7
is the default of the message's other times (chapter 2A.22).

A number is only one beside the authority that gave it: ``5001^LABA`` and ``5001^LABB`` are two orders. A
patient's number that is the specimen's or the filler's is none: with it, every specimen would be a man.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from e2analytics.feeds.hl7v2 import pharmacy
from e2analytics.feeds.hl7v2.messages import Message
from e2analytics.feeds.hl7v2.segments import LONGEST_TEXT, Parsed, parse
from e2analytics.feeds.hl7v2.values import iso, says_the_same_time, value, zone_of
from e2analytics.feeds.specimens import of_specimen

Row: TypeAlias = dict[str, str | int | bool | None]

_MOST_COMMENTS: Final = 100
_LOINC: Final = frozenset({"LN", "LOINC"})  # HL7 table 0396 has LN; some write the name
_CANCELLED: Final = "X"  # HL7 table 0123


def rows_of(message: Message) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a message, each with the name of its record."""
    parsed = parse(message)
    names = {segment.name for segment in parsed}
    kind = "^".join(parsed[0].components(9, repetition=1)[:2]) if parsed else ""
    of_drugs = pharmacy.KINDS.get(kind.partition("^")[0])
    if parsed and _is_oru(parsed[0]) and "PID" in names:
        yield from _rows_of_oru(parsed)
    elif of_drugs in names and "PID" in names:
        yield from _rows_of_drugs(parsed)
    elif not parsed or of_drugs in names or ("OBX" in names and (_is_oru(parsed[0]) or not kind)):
        yield "damaged", _row(message.number)
    else:
        yield "other", _row(message.number, message_type=kind)
    for number in message.strays:
        yield "damaged", _row(number)


NUMBER_TYPES: Final = (
    "AN", "EI", "LR", "MR", "MRT", "PE", "PI", "PN", "PT", "RI", "U", "UR", "VN",
)  # fmt: skip
"""Types of a patient's number (PID-3.5, HL7 table 0203); national and insurance numbers are not read."""


@dataclass(frozen=True)
class _Number:
    """A number and the authority that gave it."""

    text: str
    authority: str | None = None

    def __str__(self) -> str:
        return "^".join(filter(None, (self.text, self.authority)))


@dataclass
class _Patient:
    """A PID and what belongs to it."""

    pid: Parsed | None = None
    number: str | None = None
    authority: str | None = None
    ward: str | None = None
    specimens: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, pid: Parsed) -> _Patient:
        """Take the medical record number of a PID, or else its first identifier."""
        numbers = pid.repetitions(3)
        medical = (number for number in numbers if pid.text(3, 5, repetition=number) == "MR")
        chosen = next(medical, 1)
        authority = pid.text(3, 4, 1, repetition=chosen) or pid.text(3, 4, 2, repetition=chosen)
        return cls(pid, pid.text(3, 1, repetition=chosen), authority)

    @property
    def patient_id(self) -> str | None:
        """The patient's number, unless it is that of a specimen."""
        return None if self.number in self.specimens else self.number

    @property
    def assigning_authority(self) -> str | None:
        """Who gave that number."""
        return self.authority if self.patient_id else None

    def identifiers(self) -> dict[str, str | None]:
        """Return every number of the patient, by field and type; of a type the first."""
        texts: dict[str, str | None] = dict.fromkeys(PATIENT_NUMBERS)
        if self.pid is None:
            return texts
        by_type = {f"id_{kind.lower()}": kind for kind in NUMBER_TYPES}
        for repetition in reversed(self.pid.repetitions(3)):
            kind = self.pid.text(3, 5, repetition=repetition)
            for name in (name for name, each in by_type.items() if each == kind):
                texts[name] = self.pid.text(3, 1, repetition=repetition)
        return texts | {
            "first_id": self.pid.text(3, 1),
            "external_id": self.pid.text(2, 1),
            "alternate_id": self.pid.text(4, 1),
            "account_number": self.pid.text(18, 1),
        }


PATIENT_NUMBERS: Final = (
    "first_id",
    *(f"id_{kind.lower()}" for kind in NUMBER_TYPES),
    "external_id",
    "alternate_id",
    "account_number",
)
"""Columns with the numbers of a patient as the PID has them."""


@dataclass
class _Order:
    """An OBR and what belongs to it."""

    patient: _Patient
    obr: Parsed | None = None
    orc: Parsed | None = None
    drawn: str | None = None
    specimen: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    results: list[tuple[Parsed, list[str]]] = field(default_factory=list)

    def text(self, number: int, component: int = 0) -> str | None:
        """Return a field of the OBR."""
        return self.obr.text(number, component) if self.obr else None

    @property
    def placer(self) -> _Number | None:
        """The number of who ordered it: OBR-2, else ORC-2."""
        return _number(self.obr, 2) or _number(self.orc, 2)

    @property
    def filler(self) -> _Number | None:
        """The number by which it is known: the filler's, unless that is a code of what was ordered."""
        places = ((self.obr, 3), (self.obr, 2), (self.orc, 3), (self.orc, 2))
        numbers = [number for place in places if (number := _number(*place))]
        if not numbers:
            return None
        drawn = self.text(7, 1) or self.drawn
        of_a_group = _Number(f"{numbers[0].text}@{drawn}", numbers[0].authority) if drawn else None
        return next((each for each in numbers if not self._is_a_code(each)), of_a_group)

    def _is_a_code(self, number: _Number) -> bool:
        """Return whether all orders of a group of tests share this "number"."""
        codes = {(self.text(4, component) or "").casefold() for component in (1, 2, 4, 5)}
        no_digit = not any(letter.isdigit() for letter in number.text)
        return no_digit or number.text.casefold() in codes


def _number(segment: Parsed | None, place: int) -> _Number | None:
    text = segment.text(place, 1) if segment else None
    if segment is None or text is None:
        return None
    return _Number(text, segment.text(place, 2) or segment.text(place, 3))


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


def _rows_of_drugs(segments: list[Parsed]) -> Iterator[tuple[str, Row]]:
    msh = segments[0]
    patients = {
        segment.number: _Patient.of(segment) for segment in segments if segment.name == "PID"
    }
    wards = [segment.text(3, 4, 1) for segment in segments if segment.name == "PV1"]
    for patient in patients.values():
        patient.ward = next(filter(None, wards), None) if len(patients) == 1 else None
        if patient.pid:
            yield "PID", _patient_row(msh, patient, patient.pid)
    for segment, texts, pid in pharmacy.rows_of(segments):
        patient = patients[pid.number] if pid else _Patient()
        yield (
            pharmacy.RECORD,
            _row(
                segment.number,
                short_line=segment.short,
                patient_id=patient.patient_id,
                assigning_authority=patient.assigning_authority,
                **patient.identifiers(),
                **texts,
                message_id=msh.text(10),
                processing_id=msh.text(11, 1),
            ),
        )


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
                patient.specimens.update(_texts(segment, (3, 1, 0)))
            case "OBR":
                orders.append(_Order(patient, segment, common))
                common = None
                comments = orders[-1].comments
                patient.specimens.update(_texts(segment, (3, 1, 0)))
            case "OBX":
                comments = []
                order.results.append((segment, comments))
            case "SPM":
                order.drawn = order.drawn or segment.text(17, 1)
                order.specimen += _texts(segment, (4, 1, 0), (4, 2, 0))
                # Both halves of SPM-2: the placer's and the filler's number of the specimen.
                patient.specimens.update(_texts(segment, (2, 1, 1), (2, 2, 1)))
    return patients, orders


def _texts(segment: Parsed, *places: tuple[int, int, int]) -> Iterator[str]:
    return filter(None, (segment.text(*place) for place in places))


def _comment(note: Parsed) -> list[str]:
    texts = (note.text(3, repetition=number) for number in note.repetitions(3)[:_MOST_COMMENTS])
    return [text for text in texts if text]


def _patient_row(msh: Parsed, patient: _Patient, pid: Parsed) -> Row:
    birth = iso(pid.text(7, 1))
    return _row(
        pid.number,
        short_line=pid.short,
        patient_id=patient.patient_id,
        assigning_authority=patient.assigning_authority,
        **patient.identifiers(),
        birth_date=birth.partition("T")[0] if birth else None,
        sex=pid.text(8, 1),
        clinic=_clinic(msh, patient),
        message_at=iso(msh.text(7, 1)),
        processing_id=msh.text(11, 1),
    )


def _clinic(msh: Parsed, patient: _Patient) -> str | None:
    receiver = msh.text(6, 1) or patient.ward
    return receiver or msh.text(4, 1) or msh.text(5, 1) or msh.text(3, 1)


def _result_row(msh: Parsed, order: _Order, obx: Parsed, comments: list[str]) -> Row:
    code, name, system = (obx.text(3, component) for component in (1, 2, 3))
    code_2, name_2, system_2 = (obx.text(3, component) for component in (4, 5, 6))
    filler = order.filler
    zone = zone_of(msh.text(7, 1))
    # The name of an order that has several results may be that of another one.
    only = order.text(4, 2) if len(order.results) == 1 else None
    return _row(
        obx.number,
        short_line=obx.short,
        patient_id=order.patient.patient_id,
        assigning_authority=order.patient.assigning_authority,
        **order.patient.identifiers(),
        placer=order.placer.text if order.placer else None,
        filler=filler.text if filler else None,
        result_id=_result_id(filler, code or code_2, obx.text(4)),
        code=code,
        name=name,
        code_system=system,
        alternate_code=code_2,
        alternate_name=name_2,
        alternate_code_system=system_2,
        loinc=code if system in _LOINC else code_2 if system_2 in _LOINC else None,
        test_name=of_specimen(name or name_2 or only or code or code_2, _specimen(order)),
        value_type=obx.text(2),
        value=value(obx),
        unit=obx.text(6, 1) or obx.text(6, 2),
        reference_range=obx.text(7),
        status=obx.text(11),
        order_status=order.text(25),
        collected_at=iso(order.text(7, 1) or order.drawn or _observed(msh, order, obx), zone),
        reported_at=iso(order.text(22, 1) or obx.text(19, 1) or msh.text(7, 1), zone),
        method=" ".join(filter(None, (obx.text(17, 2), obx.text(17, 1)))) or None,
        performing_lab=obx.text(23, 1) or obx.text(15, 1) or obx.text(15, 2) or msh.text(4, 1),
        comment=" | ".join([*comments, *order.comments])[:LONGEST_TEXT] or None,
        sending_facility=msh.text(4, 1),
        message_id=msh.text(10),
        processing_id=msh.text(11, 1),
    )


def _specimen(order: _Order) -> list[str]:
    """Return words and codes of what was measured: SPM-4, and OBR-15 of messages before 2.7."""
    written = (order.text(15, 1), order.obr.text(15, 1, 2) if order.obr else None)
    return [*order.specimen, *filter(None, written)]


def _observed(msh: Parsed, order: _Order, obx: Parsed) -> str | None:
    """Return OBX-14, unless it says again when the result was reported: many systems write that."""
    observed = obx.text(14, 1)
    reported = (order.text(22, 1), msh.text(7, 1))
    return None if any(says_the_same_time(observed, each) for each in reported) else observed


def _cancelled_row(order: _Order, obr: Parsed) -> Row:
    filler = order.filler
    return _row(
        obr.number,
        patient_id=order.patient.patient_id,
        placer=order.placer.text if order.placer else None,
        filler=filler.text if filler else None,
        order_status=order.text(25),
    )


def _result_id(filler: _Number | None, code: str | None, sub_id: str | None) -> str | None:
    if filler is None or code is None:
        return None
    return "-".join(filter(None, (str(filler), code, sub_id)))
