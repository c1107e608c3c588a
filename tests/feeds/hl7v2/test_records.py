"""HL7 v2: what each row says, and what becomes of messages that are not understood."""

import pytest

from e2analytics.feeds.hl7v2.records import PATIENT_NUMBERS
from tests.feeds.hl7v2.hl7_files import MSH, OBR, OBX, PID, a_message, fates, read, result

NUMBERS = {**dict.fromkeys(PATIENT_NUMBERS), "first_id": "M001", "id_mr": "M001"}


def test_a_result_says_what_its_order_and_message_say_of_it():
    note = "NTE|1|L|Performed by LC/MS/MS"

    assert result(OBR, OBX, note) == {
        "patient_id": "M001",
        "assigning_authority": "CLINIC",
        **NUMBERS,
        "placer": "PL1",
        "filler": "F1",
        "result_id": "F1-2243-4",
        "code": "2243-4",
        "name": "Estradiol",
        "code_system": "LN",
        "alternate_code": "E2",
        "alternate_name": "ESTRADIOL",
        "alternate_code_system": "L",
        "loinc": "2243-4",
        "test_name": "Estradiol",
        "value_type": "NM",
        "value": "23.4",
        "unit": "pg/mL",
        "reference_range": "10-40",
        "status": "F",
        "order_status": "F",
        "collected_at": "2024-03-05T08:00:00-0500",
        "reported_at": "2024-03-06T08:00:00-0500",
        "method": None,
        "performing_lab": "LAB",
        "comment": "Performed by LC/MS/MS",
        "sending_facility": "LAB",
        "message_id": "M1",
        "processing_id": "P",
        "source_line": 4,
        "short_line": False,
    }


def test_a_patient_is_a_row_without_name_or_address():
    patient = read(a_message(MSH, PID, OBR, OBX))["PID"]

    assert patient.to_dicts() == [
        {
            "patient_id": "M001",
            "assigning_authority": "CLINIC",
            **NUMBERS,
            "birth_date": "1970-01-31",
            "sex": "M",
            "clinic": "CLINIC",
            "message_at": "2024-03-06T09:00:00-0500",
            "processing_id": "P",
            "source_line": 2,
            "short_line": False,
        }
    ]


@pytest.mark.parametrize(
    ("code", "loinc", "test_name"),
    [
        ("2243-4^Estradiol^LN", "2243-4", "Estradiol"),
        ("E2^^L^2243-4^Estradiol^LN", "2243-4", "Estradiol"),
        ("E2^Estradiol, sensitive^L", None, "Estradiol, sensitive"),
        ("2243-4^Estradiol^L", None, "Estradiol"),
        ("E2", None, "Hormones"),
        ("", None, "Hormones"),
        ("E2^A & B^L", None, "A & B"),
    ],
)
def test_a_code_is_of_loinc_only_if_it_says_so(code: str, loinc: str | None, test_name: str):
    order = "OBR|1||F1|H^Hormones^L"
    obx = result(order, f"OBX|1|NM|{code}||23.4|pg/mL|||||F")

    assert (obx["loinc"], obx["test_name"]) == (loinc, test_name)


def test_the_name_of_an_order_is_not_that_of_each_of_its_results():
    order = "OBR|1||F1|T^Testosterone^L"
    shbg, other = "OBX|1|NM|SHBG||30|nmol/L|||||F", "OBX|2|NM|TT||20|nmol/L|||||F"

    assert read(a_message(MSH, PID, order, shbg, other))["OBX"]["test_name"].to_list() == [
        "SHBG",
        "TT",
    ]


@pytest.mark.parametrize(
    ("order", "sub_id", "result_id"),
    [
        ("ORC|RE|PL9|F9\rOBR|1|PL1|F1", "", "F1-E2"),
        ("ORC|RE|PL9|F9\rOBR|1|PL1|", "", "PL1-E2"),
        ("ORC|RE|PL9|F9\rOBR|1||", "", "F9-E2"),
        ("OBR|1||F1^LAB^1.2.3^ISO", "2", "F1^LAB-E2-2"),
        ("OBR|1||F1^^1.2.3^ISO", "", "F1^1.2.3-E2"),
        ("OBR|1|PL1^EHR|", "", "PL1^EHR-E2"),
        # A group's code in the place of a number: another number, or the draw, tells orders apart.
        ("ORC|RE|PL9^EHR\rOBR|1||E2GRP^LAB|E2GRP^Hormones", "", "PL9^EHR-E2"),
        ("ORC|RE||F9\rOBR|1||HORMONES|E2GRP^Hormones", "", "F9-E2"),
        ("ORC|RE|PANEL|PANEL\rOBR|1||PANEL||||202403050800", "", "PANEL@202403050800-E2"),
        ("OBR|1||PANEL^LAB|X^Y", "", None),
        ("OBR|1||", "", None),
    ],
)
def test_a_result_is_known_by_its_order_and_code(order: str, sub_id: str, result_id: str | None):
    assert result(order, f"OBX|1|NM|E2|{sub_id}|23.4|pg/mL|||||F")["result_id"] == result_id


def test_an_orc_is_of_the_next_order_only():
    orders = ("ORC|RE|P1|F1", "OBR|1", OBX, "OBR|2", OBX)

    assert read(a_message(MSH, PID, *orders))["OBX"]["filler"].to_list() == ["F1", None]


SPECIMEN = "SPM|1||||||||||||||||20240303^20240304"


@pytest.mark.parametrize(
    ("segments", "collected_at"),
    [
        (("OBR|1||F1|E2|||20240302", OBX + "|||20240301", SPECIMEN), "2024-03-02"),
        (("OBR|1||F1|E2", OBX + "|||20240301", SPECIMEN), "2024-03-03"),
        (("OBR|1||F1|E2", OBX + "|||20240301"), "2024-03-01"),
        # The time of the report (OBR-22, MSH-7) is no time of a draw, however exactly it is written.
        ((OBR.replace("20240305080000-0500", ""), OBX + "|||20240306080000-0500"), None),
        (("OBR|1||F1|E2", OBX + "|||202403060900"), None),
        (("OBR|1||F1|E2", OBX + "|||20240306"), None),
        (("OBR|1||F1|E2", OBX + "|||202403060859"), "2024-03-06T08:59-0500"),
    ],
)
def test_the_draw_is_of_the_order_else_of_the_specimen_else_of_the_result(
    segments: tuple[str, ...], collected_at: str | None
):
    assert result(*segments)["collected_at"] == collected_at


@pytest.mark.parametrize(
    ("message_at", "drawn", "collected_at"),
    [
        ("20240306090000-0500", "202403050730", "2024-03-05T07:30-0500"),
        ("20240306090000+0100", "20240305073000", "2024-03-05T07:30:00+0100"),
        ("20240306090000-0500", "202403050730-0800", "2024-03-05T07:30-0800"),
        ("20240306090000-0500", "20240305", "2024-03-05"),
        ("20240306090000", "202403050730", "2024-03-05T07:30"),
        ("", "202403050730", "2024-03-05T07:30"),
    ],
)
def test_the_zone_of_the_message_is_that_of_its_other_times(
    message_at: str, drawn: str, collected_at: str
):
    msh = MSH.replace("20240306090000-0500", message_at)
    order = f"OBR|1||F1|E2|||{drawn}|||||||||||||||202403060800"

    obx = read(a_message(msh, PID, order, OBX))["OBX"].row(0, named=True)

    assert obx["collected_at"] == collected_at
    assert obx["reported_at"] == f"2024-03-06T08:00{message_at[14:]}"


def test_the_time_of_the_report_is_the_change_of_status_else_the_analysis_else_the_message():
    analysed = OBX + "||||||||20240304"

    assert result(OBR, analysed)["reported_at"] == "2024-03-06T08:00:00-0500"
    assert result("OBR|1||F1", analysed)["reported_at"] == "2024-03-04"
    assert result("OBR|1||F1", OBX)["reported_at"] == "2024-03-06T09:00:00-0500"


def test_a_method_and_a_laboratory_are_taken_from_where_they_are():
    with_method = OBX + "||||05D1^Reference Lab||LCMS^LC/MS/MS^L"

    assert result(OBR, with_method)["method"] == "LC/MS/MS LCMS"
    assert result(OBR, with_method)["performing_lab"] == "05D1"
    assert result(OBR, with_method + "||||||Far Lab^L")["performing_lab"] == "Far Lab"


def test_a_unit_may_be_a_text_only():
    assert result(OBR, "OBX|1|NM|x||5|^pg/mL|||||F")["unit"] == "pg/mL"


def test_notes_belong_to_what_stands_before_them():
    rows = read(
        a_message(
            MSH,
            PID,
            "NTE|1||of the patient",
            OBR,
            "NTE|1||of the order",
            OBX,
            "NTE|1||of the first",
            "NTE|2||and more",
            OBX,
            "SPM|1",
            "NTE|1||of the specimen",
        )
    )

    assert rows["OBX"]["comment"].to_list() == [
        "of the first | and more | of the order",
        "of the order",
    ]


def test_every_number_of_a_patient_is_a_column_by_its_type():
    pid = "PID|1|E7^^^X|P1^^^A^PI~M1^^^B^MR~M2^^^C^MR~S9^^^^SS|L4||19700101|M||||||||||AC5^^^A"

    patient = read(a_message(MSH, pid))["PID"].row(0, named=True)

    assert {name: patient[name] for name in PATIENT_NUMBERS if patient[name]} == {
        "first_id": "P1",
        "id_mr": "M1",
        "id_pi": "P1",
        "external_id": "E7",
        "alternate_id": "L4",
    }
    assert "S9" not in patient.values()


@pytest.mark.parametrize(
    "segments",
    [
        ("OBR|1|PL1|M001^LAB", OBX),
        ("ORC|RE|PL1|M001", "OBR|1|PL1|F1", OBX),
        (OBR, OBX, "SPM|1|PL1&EHR^M001&LAB"),
        ("OBR|1|PL1|F1", OBX, "OBR|2|PL1|M001", OBX),
    ],
)
def test_a_patient_number_that_is_a_specimens_is_none(segments: tuple[str, ...]):
    rows = read(a_message(MSH, PID, *segments))

    assert rows["PID"]["patient_id"].to_list() == [None]
    assert rows["OBX"]["patient_id"].unique().to_list() == [None]


@pytest.mark.parametrize(
    ("numbers", "patient_id"),
    [
        ("M1", "M1"),
        ("X1^^^A^PI~M1^^^CLINIC&1.2&ISO^MR~S1^^^S^SS", "M1"),
        ("X1^^^CLINIC^PI~Y1^^^B^AN", "X1"),
        ("", None),
    ],
)
def test_the_medical_record_number_comes_first(numbers: str, patient_id: str | None):
    rows = read(a_message(MSH, f"PID|1||{numbers}||DOE", OBR, OBX))

    assert rows["PID"]["patient_id"].to_list() == [patient_id]
    assert rows["OBX"]["patient_id"].to_list() == [patient_id]


def test_every_patient_of_a_message_has_his_own_results():
    second = PID.replace("M001", "M002")
    rows = read(a_message(MSH, PID, OBR, OBX, second, "PV1|1||^^^WARD", OBR, OBX))

    assert rows["PID"].select("patient_id", "source_line").rows() == [("M001", 2), ("M002", 5)]
    assert rows["OBX"].select("patient_id", "source_line").rows() == [("M001", 4), ("M002", 8)]


@pytest.mark.parametrize(
    ("head", "ward", "clinic"),
    [
        ("LIS|LAB|EHR|CLINIC", "WARD&1.2&ISO", "CLINIC"),
        ("LIS|LAB|EHR|", "WARD&1.2&ISO", "WARD"),
        ("LIS|LAB|EHR|", "", "LAB"),
        ("LIS||EHR|", "", "EHR"),
        ("LIS|||", "", "LIS"),
        ("|||", "", None),
    ],
)
def test_a_clinic_is_the_receiver_else_the_ward_else_the_sender(
    head: str, ward: str, clinic: str | None
):
    message = a_message(MSH.replace("LIS|LAB|EHR|CLINIC", head), PID, f"PV1|1|O|^^^{ward}")

    assert read(message)["PID"]["clinic"].to_list() == [clinic]


@pytest.mark.parametrize("head", ["|LAB|EHR|CLINIC", "|||", "||EHR|", "LIS|||"])
def test_a_message_without_its_sender_is_read(head: str):
    message = a_message(MSH.replace("LIS|LAB|EHR|CLINIC", head), PID, OBR, OBX)

    assert read(message)["OBX"]["value"].to_list() == ["23.4"]


def test_a_result_that_the_end_of_the_file_cut_is_a_short_line():
    whole = a_message(MSH, PID, OBR, OBX).rstrip("\r")

    assert read(whole)["OBX"]["short_line"].to_list() == [False]
    assert read(whole.removesuffix(".4|pg/mL^^UCUM|10-40||||F"))["OBX"]["short_line"].to_list() == [
        True
    ]


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        ("MSH", "no delimiters"),
        ("MSH|||||", "one delimiter twice"),
        ("MSH|^~\\&", "nothing after the delimiters"),
        (a_message(MSH, PID, OBR, OBX + "|\x00"), "a control byte"),
        (a_message(MSH, PID, OBR, "OBX|1|NM|x||" + "~" * 500_001), "a million parts"),
    ],
)
def test_a_message_that_cannot_be_parsed_costs_only_itself(damaged: str, why: str):
    good = a_message(MSH, PID, OBR, OBX)
    counts = fates(good + damaged.rstrip("\r") + "\r" + good)

    assert counts == {"PID": 2, "OBX": 2, "damaged": 1}, why


@pytest.mark.parametrize(
    "segments",
    [
        (MSH.replace("ORU^R01^ORU_R01", "ADT^A01"), PID, OBX),
        (MSH.replace("ORU^R01^ORU_R01", "OUL^R22"), PID, OBR, OBX),
        (MSH.replace("ORU^R01^ORU_R01", ""), PID),
        (MSH, OBR),
    ],
)
def test_a_message_of_another_kind_is_one_row(segments: tuple[str, ...]):
    assert fates(a_message(*segments)) == {"other": 1}


@pytest.mark.parametrize(
    "segments",
    [(MSH, OBR, OBX), (MSH.replace("ORU^R01^ORU_R01", ""), PID, OBR, OBX)],
)
def test_a_message_with_results_of_nobody_knows_whom_is_damaged(segments: tuple[str, ...]):
    assert fates(a_message(*segments)) == {"damaged": 1}


def test_results_of_the_first_releases_are_results():
    assert fates(a_message(MSH.replace("ORU^R01^ORU_R01", "ORU"), PID, OBX)) == {"PID": 1, "OBX": 1}


def test_an_order_cancelled_without_a_result_is_told():
    cancelled = OBR.removesuffix("F") + "X"

    rows = read(a_message(MSH, PID, cancelled, OBR))

    assert rows["cancelled_order"].rows() == [("M001", "PL1", "F1", "X", 3, False)]


def test_delimiters_are_those_of_the_message():
    strange = a_message(
        MSH.replace("|", "#").replace("^~\\&", "*!$%").replace("^", "*"),
        "PID#1##M7***CLINIC*MR",
        "OBR#1##F1",
        "OBX#1#SN#E2*Estradiol$S$free*L##<*5#pg/mL#####F",
    )
    obx = read(strange)["OBX"].row(0, named=True)

    assert (obx["patient_id"], obx["value"], obx["name"]) == ("M7", "<5", "Estradiol*free")


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("", "utf-8"),
        ("", "cp1252"),
        ("UNICODE UTF-8", "utf-8"),
        ("8859/1", "cp1252"),
        ("8859/15", "iso8859-15"),
        ("ASCII", "utf-8"),
        ("8859/99", "utf-8"),
    ],
)
def test_a_unit_is_read_in_the_character_set_of_its_message(declared: str, encoding: str):
    content = a_message(f"{MSH}||||||{declared}", PID, OBR, "OBX|1|NM|x||5|µg/L|||||F")

    assert read(content.encode(encoding))["OBX"]["unit"].to_list() == ["µg/L"]


def test_what_an_order_says_at_length_is_not_repeated_in_full():
    remarks = [f"NTE|{number}|L|{'x' * 90}" for number in range(500)]
    rows = read(a_message(MSH, PID, OBR, *remarks, OBX, OBX))["OBX"]

    assert rows["comment"].str.len_chars().to_list() == [4_000, 4_000]


def test_the_authority_of_a_number_is_named_or_has_an_object_identifier():
    written = [
        ("M001^^^CLINIC&1.2.3&ISO^MR", "CLINIC"),
        ("M001^^^&1.2.3&ISO^MR", "1.2.3"),
        ("M001^^^^MR", None),
        ("F1^^^CLINIC^MR", None),  # the filler's number is nobody's
    ]

    found = [
        read(a_message(MSH, PID.replace("M001^^^CLINIC^MR", each), OBR, OBX))["PID"]
        for each, _ in written
    ]

    assert [each["assigning_authority"].item() for each in found] == [
        authority for _, authority in written
    ]


@pytest.mark.parametrize(
    ("source", "specimen", "name"),
    [
        ("UR^Urine", "", "Estradiol, urine"),
        ("", "SPM|1|||SAL^Saliva^HL70487", "Estradiol, saliva"),
        ("SER", "SPM|1|||SER^Serum^HL70487", "Estradiol"),
        ("", "SPM|1|||119364003^Serum specimen^SCT", "Estradiol"),
    ],
)
def test_a_result_of_another_specimen_is_another_test(source: str, specimen: str, name: str):
    order = OBR.split("|")
    order[15] = source

    assert result(*filter(None, ("|".join(order), OBX, specimen)))["test_name"] == name
