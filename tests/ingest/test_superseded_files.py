"""Resent: a line without a number is mended where its whole file has come again, and not before."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.intake import Intake
from e2analytics.ingest.read_drop import Sources
from e2analytics.run.frames import Run
from e2analytics.run.steps import take_in
from e2analytics.settings import Settings
from e2analytics.tables.snapshot import Snapshot
from tests.conftest import KEY

HEAD = "result_id,patient_id,collected_at,test_name,value,unit\n"
PATIENTS = "patient_id,clinic_id,sex,birth_date\nP1,C,M,1970-01-01\n"
R1, R2, R3 = (f"R{n},P1,2024-03-0{n},Estradiol,2{n},pg/mL\n" for n in (1, 2, 3))
NAMELESS = R3.removeprefix("R3")
NEXT_NIGHT = "".join(row.replace("R", "S").replace("2024-03", "2024-04") for row in (R1, R2, R3))

TWO_MEN = PATIENTS + "P2,C1,M,1970-02-02\n"


def taken(folder: Path, before: Intake | None, **files: str) -> Intake:
    """Take a drop of these files in, after all that came before."""
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.{'hl7' if content.startswith('MSH') else 'csv'}").write_text(content)
    known = Snapshot()
    if before is not None:
        tables = {"files": before.files, "quarantine": before.quarantine}
        known = Snapshot(
            {**tables, **{table: before.accepted(table) for table in before.rows}},
            {
                table: rows.filter(pl.col("fate") != "accepted")
                for table, rows in before.rows.items()
            },
        )
    sources = Sources.from_drop(
        folder, load_feeds(), KEY, ledger=known.table("files"), today=date(2024, 6, 1)
    )
    run = Run(as_of=date(2024, 6, 1), settings=Settings(), run_id=folder.name)
    return take_in(sources, known, run)


def states(now: Intake) -> list[tuple[str, int, str]]:
    return now.quarantine.select("rule", "source_line", "state").rows()


MISSING = ("missing_result_id", 4)


@pytest.mark.parametrize(
    ("name", "again", "expected"),
    [
        # Mended: all that had a number is there, and no row less.
        ("labs_may", HEAD + R1 + R2 + R3, [(*MISSING, "resolved")]),
        # Sent again and still wrong, on another line now: the new file has the open line.
        ("labs_may", HEAD + R1 + NAMELESS + R2, [(*MISSING, "resolved"), ("missing_result_id", 3, "open")]),
        # Its row is left out.
        ("labs_may", HEAD + R1 + R2, [(*MISSING, "open")]),
        # The next night's file has the same name, and other rows.
        ("labs_may", HEAD + NEXT_NIGHT, [(*MISSING, "open")]),
        ("labs_june", HEAD + R1 + R2 + R3, [(*MISSING, "open")]),
    ],
)  # fmt: skip
def test_a_line_without_a_number_waits_until_its_file_came_again(
    tmp_path: Path, name: str, again: str, expected: list[tuple[str, int, str]]
):
    first = taken(tmp_path / "1", None, patients=PATIENTS, labs_may=HEAD + R1 + R2 + NAMELESS)
    second = taken(tmp_path / "2", first, **{name: again})

    assert states(first) == [(*MISSING, "open")]
    assert sorted(states(second)) == sorted(expected)
    # And it stays so.
    assert sorted(states(taken(tmp_path / "3", second))) == sorted(expected)


def test_a_line_that_gave_way_is_superseded_and_the_fates_add_up(tmp_path: Path):
    first = taken(tmp_path / "1", None, patients=PATIENTS, labs_may=HEAD + R1 + R2 + NAMELESS)
    second = taken(tmp_path / "2", first, labs_may=HEAD + R1 + R2 + R3)

    fates = second.rows["labs"].sort("source_order", "source_line").select("fate", "why").rows()
    assert fates == [
        ("accepted", None),
        ("accepted", None),
        ("superseded", "mended"),
        ("duplicate", None),
        ("duplicate", None),
        ("accepted", None),
    ]


def test_a_number_that_was_shared_by_two_tests_is_mended_by_numbers_of_their_own(tmp_path: Path):
    shared = R2 + "R2,P1,2024-03-02,LH,5,IU/L\n"
    first = taken(tmp_path / "1", None, patients=PATIENTS, labs_may=HEAD + R1 + shared)
    mended = shared.replace("R2", "R2-E2", 1).replace("\nR2,", "\nR2-LH,")
    second = taken(tmp_path / "2", first, labs_may=HEAD + R1 + mended)

    rule = "number_of_several_tests"
    assert states(first) == [(rule, 3, "open"), (rule, 4, "open")]
    assert states(second) == [(rule, 3, "resolved"), (rule, 4, "resolved")]


def test_a_number_that_was_shared_by_two_men_is_mended_by_numbers_of_their_own(tmp_path: Path):
    shared = R2 + R2.replace("P1", "P2")
    first = taken(tmp_path / "1", None, patients=TWO_MEN, labs_may=HEAD + R1 + shared)
    mended = R2.replace("R2", "R2-1") + R2.replace("R2", "R2-2").replace("P1", "P2")
    second = taken(tmp_path / "2", first, labs_may=HEAD + R1 + mended)

    rule = "number_of_several_patients"
    assert states(first) == [(rule, 3, "open"), (rule, 4, "open")]
    assert {state for found, _, state in states(second) if found == rule} == {"resolved"}


def test_a_file_that_gives_a_number_to_another_man_mends_nothing(tmp_path: Path):
    first = taken(tmp_path / "1", None, patients=TWO_MEN, labs_may=HEAD + R1 + R2)
    second = taken(tmp_path / "2", first, labs_may=HEAD + R1 + R2.replace("P1", "P2") + R3)

    rule = "number_of_several_patients"
    assert [state for found, _, state in states(second) if found == rule] == ["open", "open"]


def test_of_a_file_without_any_number_nobody_can_tell(tmp_path: Path):
    first = taken(tmp_path / "1", None, patients=PATIENTS, labs_may=HEAD + NAMELESS)
    second = taken(tmp_path / "2", first, labs_may=HEAD + R3)

    assert states(second) == [("missing_result_id", 2, "open")]


def test_a_site_is_part_of_a_scans_number(tmp_path: Path):
    head = "scan_id,patient_id,scanned_on,site,bmd_g_cm2\n"
    good = "D1,P1,2024-03-01,total_hip,0.9\n"
    wrong, right = (f"D1,P1,2024-03-01,{site},1.0\n" for site in ("spine", "lumbar_spine"))
    first = taken(tmp_path / "1", None, patients=PATIENTS, dxa=head + good + wrong)
    second = taken(tmp_path / "2", first, dxa=head + good + right)

    assert states(first) == [("unknown_site", 3, "open")]
    assert states(second) == [("unknown_site", 3, "resolved")]


def test_a_damaged_segment_waits_until_its_messages_came_again(tmp_path: Path):
    msh = "MSH|^~\\&|LIS|LAB|EHR|C|20240306090000-0500||ORU^R01^ORU_R01|M1|P|2.5.1\r"
    pid = "PID|1||P1^^^C^MR||DOE^JOHN||19700101|M\r"
    obr = "OBR|1|PL1|F1|E2^Estradiol^L|||20240305080000-0500\r"
    e2 = "OBX|1|NM|2243-4^Estradiol^LN||23.4|pg/mL^^UCUM|||||F\r"
    lh = "OBX|2|NM|10501-5^LH^LN||3.4|[IU]/L^^UCUM|||||F\r"
    damaged = lh.replace("OBX", "OB")

    first = taken(tmp_path / "1", None, results=msh + pid + obr + e2 + damaged)
    second = taken(tmp_path / "2", first, results=msh + pid + obr + e2 + lh)

    assert states(first) == [("unreadable_segment", 5, "open")]
    assert states(second) == [("unreadable_segment", 5, "resolved")]
    assert sorted(second.accepted("labs")["value_low"]) == [3.4, 23.4]
