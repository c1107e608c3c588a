"""HL7 v2: the description of a supplier whose PID-3 is a specimen, and who sent a file."""

from pathlib import Path

import polars as pl
import pytest

from e2analytics.feeds import drop, formats, mapping
from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.hl7v2 import reader as hl7v2
from tests.feeds.hl7v2.hl7_files import MSH, OBR, OBX, PID, a_message

LCA = "MSH|^~\\&|LCS|LCA|LIS|TEST1|202408021532||ORU^R01|1|P|2.3"
OBR_LCA = "OBR|1|PO1^LIS|20809880170^LCS|140244^Estradiol, Sensitive^L|||202408010800"


def pid(external: str = "501", alternate: str = "A501") -> str:
    return f"PID|1|{external}|20809880170|{alternate}|DOE^J||19700101|M"


def patient_ids(path: Path, content: str) -> tuple[str, list[str | None]]:
    """Return the feed of a file and whose each of its results is."""
    path.write_text(content)
    found = drop.recognise(load_feeds(), path)
    assert found is not None
    (rows,) = (rows for record, rows in formats.read(path, found.feed.format) if record == "OBX")
    kind = next(each for each in found.kinds if each.takes("OBX"))
    text = mapping.to_table(rows, found.feed, kind, source_file="f", source_order=0)
    return found.feed.feed, text["patient_id"].to_list()


@pytest.mark.parametrize(
    ("patient", "patient_id"),
    [(pid(), "501"), (pid(external=""), "A501"), (pid(external="", alternate=""), None)],
)
def test_a_specimen_in_pid_3_is_no_patient_of_the_supplier_who_writes_so(
    tmp_path: Path, patient: str, patient_id: str | None
):
    message = a_message(LCA, patient, OBR_LCA, OBX)

    assert patient_ids(tmp_path / "a.hl7", message) == ("hl7_labcorp", [patient_id])


def test_of_an_unknown_sender_a_specimen_in_pid_3_is_nobody(tmp_path: Path):
    message = a_message(LCA.replace("LCA", "LABX"), pid(), OBR_LCA, OBX)

    assert patient_ids(tmp_path / "a.hl7", message) == ("hl7_oru", [None])


def test_a_file_may_hold_messages_of_several_senders(tmp_path: Path):
    ordinary = a_message(MSH, PID.replace("|M001", "X9|M001"), OBR, OBX)

    content = a_message(LCA, pid(), OBR_LCA, OBX) + ordinary

    assert patient_ids(tmp_path / "a.hl7", content) == ("hl7_labcorp", ["501", "M001"])


def test_the_senders_near_the_beginning_are_known_before_a_file_is_read(tmp_path: Path):
    file = tmp_path / "a.hl7"
    file.write_text(
        a_message(LCA, pid()) + a_message(MSH.replace("LIS|LAB", "|LAB&1.2&ISO^x"), PID)
    )

    assert hl7v2.header(file, hl7v2.Options())[hl7v2.SENDER] == ["LCS", "LCA", "LAB"]


def test_two_authorities_of_one_number_are_two_orders(tmp_path: Path):
    file = tmp_path / "a.hl7"
    orders = (OBR.replace("|F1|", f"|5001^{lab}|") for lab in ("LABA", "LABB"))
    file.write_text("".join(a_message(MSH, PID, order, OBX) for order in orders))

    rows = pl.concat(rows for record, rows in hl7v2.read(file, hl7v2.Options()) if record == "OBX")

    assert rows["result_id"].to_list() == ["5001^LABA-2243-4", "5001^LABB-2243-4"]
