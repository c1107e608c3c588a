"""Laboratory results as HL7 v2.5.1 ORU^R01 messages in one batch file: `schemas/feeds/hl7_oru.yaml`.

A message holds the results of one report, in the order of the drop's lines: a correction is a later
message. Comparators are structured numerics (SN), statuses stand in OBX-11 and OBR-25, and the method
in OBX-17, or in a comment of the laboratories of `METHOD_IN_A_COMMENT`. A result's number becomes the
filler's order number and the code; PID says who the patient is, but for height, weight and therapy.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from e2analytics.simulate.exports.tables import Tables, others, result_code, with_people

METHOD_IN_A_COMMENT: Final = frozenset({"LAB-B"})
_ESCAPES: Final = {letter: f"\\{name}\\" for letter, name in zip("\\|^&~", "EFSTR", strict=True)}
_REPORT: Final = ("patient_id", "collected_at", "reported_at", "performing_lab")

Row = dict[str, Any]


def write(folder: Path, tables: Tables) -> Tables:
    """Write the results; return what is not carried."""
    labs = tables["labs"].with_columns(code=result_code())
    rows = with_people(labs, tables, "clinic_id", "sex", "birth_date").iter_rows(named=True)
    reports = [list(report) for _, report in groupby(rows, key=lambda row: [row[name] for name in _REPORT])]  # fmt: skip
    segments = [
        r"FHS|^~\&|LIS",
        r"BHS|^~\&|LIS",
        *(
            line
            for number, report in enumerate(reports, start=1)
            for line in _message(number, report)
        ),
        f"BTS|{len(reports)}",
        "FTS|1",
    ]
    content = "".join(f"{segment}\r" for segment in segments)
    (folder / "laboratory_results.hl7").write_bytes(content.encode())
    return others(tables, "labs")


def _message(number: int, report: list[Row]) -> Iterator[str]:
    first = report[0]
    sent_at = _time(first["reported_at"] or first["collected_at"])
    yield _segment(
        r"MSH|^~\&",
        {3: "LIS", 4: _escaped(first["performing_lab"]), 5: "EHR", 6: _escaped(first["clinic_id"]),
         7: sent_at, 9: "ORU^R01^ORU_R01", 10: str(number), 11: "P", 12: "2.5.1", 18: "UNICODE UTF-8"},
        first_field=3,
    )  # fmt: skip
    yield _segment(
        "PID",
        {1: "1", 3: f"{_escaped(first['patient_id'])}^^^SIM^MR", 5: "Simulated^Patient",
         7: _time(first["birth_date"]), 8: first["sex"]},
    )  # fmt: skip
    for nth, row in enumerate(report, start=1):
        yield from _result(nth, row)


def _result(nth: int, row: Row) -> Iterator[str]:
    system = "LN" if row["loinc"] else "L"
    test = f"{row['loinc'] or row['code']}^{_escaped(row['test_name'])}^{system}"
    yield _segment(
        "OBR",
        {1: str(nth), 3: _escaped(row["result_id"]), 4: test, 7: _time(row["collected_at"]),
         22: _time(row["reported_at"]), 25: row["status"]},
    )  # fmt: skip
    kind, value = _value(row["value"])
    in_a_comment = row["performing_lab"] in METHOD_IN_A_COMMENT
    method = _escaped(row["method"])
    yield _segment(
        "OBX",
        {1: "1", 2: kind, 3: test, 5: value, 6: f"{_escaped(row['unit'])}^^UCUM" if row["unit"] else "",
         11: row["status"], 15: _escaped(row["performing_lab"]),
         17: f"^{method}" if method and not in_a_comment else ""},
    )  # fmt: skip
    if method and in_a_comment:
        yield _segment("NTE", {1: "1", 2: "L", 3: f"Method: {method}"})


def _value(written: str | None) -> tuple[str, str]:
    """Return the type and the field of a result.

    >>> _value("<5.0"), _value("23.4"), _value("QNS")
    (('SN', '<^5.0'), ('NM', '23.4'), ('ST', 'QNS'))
    """
    text = written or ""
    if found := re.fullmatch(r"([<>]=?)([0-9.]+)", text):
        return "SN", f"{found[1]}^{found[2]}"
    is_number = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text)
    return ("NM" if is_number else "ST"), _escaped(text)


def _segment(name: str, fields: dict[int, str | None], *, first_field: int = 1) -> str:
    filled = [fields.get(number) or "" for number in range(first_field, max(fields) + 1)]
    return "|".join([name, *filled]).rstrip("|")


def _time(written: str | None) -> str:
    return re.sub("[-:T]", "", written or "")


def _escaped(text: str | None) -> str:
    r"""Return a text with the delimiters escaped.

    >>> _escaped("50% | A&B")
    '50% \\F\\ A\\T\\B'
    """
    return "".join(_ESCAPES.get(letter, letter) for letter in text or "")
