"""After stopping or cutting: counted with their denominators, and man by man; few words, no praise."""

from datetime import date

import polars as pl

from e2analytics.report.sections import de_escalations
from tests.report.builders.common import AS_OF

Tables = dict[str, pl.DataFrame]


def described(tables: Tables, *, in_full: bool = True) -> de_escalations.DeEscalations:
    return de_escalations.describe(tables["de_escalations"], as_of=AS_OF, in_full=in_full)


def test_changes_of_the_last_two_years_are_counted(tables: Tables):
    found = described(tables)

    assert found.sentence.startswith(
        "Since 2024-09-30 orders of an inhibitor show 1 stop and 1 cut of the dose, in 2 men;"
    )
    assert found.answers == ("Yes", "No", "Cannot tell", "Not yet", "Not supplied")
    assert [(each.words, each.n) for each in found.outcomes] == [
        # Of one man E2 was below before, of the other nobody can tell.
        ("E2 at 16 pg/mL or above again, where it was below", (1, 0, 0, 0, 0)),
        ("E2 above 60 pg/mL, as mass spectrometry reads", (0, 1, 0, 0, 1)),
        ("Breast tenderness or gynaecomastia", (1, 1, 0, 0, 0)),
    ]
    assert found.notes == (
        "CTX against its reference change value: measurable fall 1 and not supplied 1.",
        "Next scan of bone against the one before it: loss beyond LSC 1 and not supplied 1.",
    )


def test_the_newest_changes_are_told_man_by_man(tables: Tables):
    cut, stopped = described(tables).newest

    assert (cut.done, cut.before, cut.after, cut.recovered) == (
        "2026-07-01: anastrozole 1 mg a week, cut to 0.5 mg a week; followed until 2026-09-01, when a "
        "dose was raised",
        "<24.0 (IA, 2026-06-01)",
        "not supplied",
        "not supplied",
    )
    assert cut.high_side == (
        "E2 above 60: not supplied; breast symptoms: yes (all symptoms: breast tenderness on 2026-08-01)"
    )
    assert stopped.done == (
        "2026-01-01: anastrozole 1 mg a week, stopped; testosterone changed 2026-05-01"
    )
    assert (stopped.before, stopped.after) == (
        "11.0 (MS, 2025-12-01)",
        "24.0 (MS, 2026-02-01, day 31)",
    )
    assert stopped.bone == (
        "CTX 600 to 350 pg/mL, measurable fall; scan 2026-08-01: total hip −6.2 % from 2024-08-01, "
        "loss beyond LSC"
    )


def test_a_cut_after_an_unknown_dose_says_so(tables: Tables):
    ledger = tables["de_escalations"].with_columns(
        from_mg_per_week=pl.lit(7.0), dose_unknown_since_on=pl.lit(date(2026, 3, 1))
    )
    cut = de_escalations.describe(ledger, as_of=AS_OF, in_full=True).newest[0]

    assert cut.done.startswith(
        "2026-07-01: anastrozole 7 mg a week, from 2026-03-01 a dose that is unknown, cut to 0.5 mg a week;"
    )


def test_no_man_is_listed_where_men_are_not(tables: Tables):
    assert described(tables, in_full=False).newest == ()


def test_without_a_change_nothing_is_counted(tables: Tables):
    found = de_escalations.describe(tables["de_escalations"].clear(), as_of=AS_OF, in_full=True)

    assert found.sentence == (
        "No inhibitor was stopped and no dose cut since 2024-09-30, as far as orders tell."
    )
    assert found.outcomes == ()
