"""What stands beside the flags: in words, counted, and never an order."""

import polars as pl

from e2analytics.report.sections import flag_context

Tables = dict[str, pl.DataFrame]


def test_what_stands_beside_a_man_is_said_in_words(tables: Tables):
    of_men = flag_context.of_men(tables["gaps"], tables["context"], tables["projections"])

    assert list(of_men.values()) == [
        flag_context.FlagContext(
            missing="E2 low, and neither dose lowered nor E2 in range within 42 days (due 2026-08-12); "
            "no 25-OH vitamin D in 12 months, though there is an indication",
            findings="testosterone 612 ng/dL on 2026-08-01, usually 580; T/E2 51.0 (ng/dL)/(pg/mL) on "
            "2026-08-01 (MS), 44.0 on average of 3 earlier days since 2025-02-01; BMD total hip −6.2 % from 2024-08-01 to 2026-08-01, LSC 5.0 %: a loss beyond it, beside other drugs that "
            "move bone (prednisone 20.0 mg a day since 2024-09-15); "
            "calcium intake 700 mg/day on 2026-03-01, below the 1000 mg recommended for men of his age; "
            "alendronate since 2026-08-20",
            other_doses="none 36 (32 to 41); 0.5 mg 18 (14 to 23)",
        )
    ]


def test_a_gap_says_the_result_it_follows(tables: Tables):
    note = "55 % on 2026-08-21; a newer result of 2026-09-21 waits for correction"
    high = tables["gaps"].head(1).with_columns(gap=pl.lit("haematocrit_high"), note=pl.lit(note))
    of_men = flag_context.of_men(high, tables["context"].clear(), tables["projections"].clear())

    assert [man.missing for man in of_men.values()] == [f"last haematocrit above 54 % ({note})"]


def test_gaps_are_counted_and_those_of_flagged_men_among_them(tables: Tables):
    man = tables["gaps"]["patient_id"][0]

    def counted(flagged: list[str]) -> list[tuple[str, int, int]]:
        found = flag_context.missing(tables["gaps"], flagged)
        return [(gap.words[:20], gap.n_men, gap.n_flagged) for gap in found]

    assert counted([man]) == [("no 25-OH vitamin D i", 1, 1), ("E2 low, and neither ", 1, 1)]
    assert counted([]) == [("no 25-OH vitamin D i", 1, 0), ("E2 low, and neither ", 1, 0)]


def test_grounds_show_the_last_three_results_and_lead_to_their_rows(tables: Tables):
    evidence = tables["flag_evidence"]

    (man,) = flag_context.grounds(evidence, evidence["patient_id"].unique().to_list())

    assert [(piece.piece, piece.on, piece.value, piece.row) for piece in man.pieces] == [
        ("E2", "2026-03-01", "11.0 pg/mL", "labs-8c1d line 3"),
        ("E2", "2026-04-01", "12.0 pg/mL", "labs-8c1d line 4"),
        ("E2", "2026-05-01", "13.0 pg/mL", "labs-8c1d line 5"),
        ("rule of the tier", "", "", ""),
    ]
    assert (man.pieces[-1].name, man.pieces[-1].words) == ("red line", "critical")
