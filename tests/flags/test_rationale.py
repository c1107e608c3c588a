"""Rationale: the rows that a flag is based on, in words."""

from tests.flags.men import judge, order


def test_the_rationale_names_the_rows_it_is_based_on_and_no_unknown_is_lost():
    assert judge()["rationale"][0] == (
        "Expected E2 at the present dose 24.5 pg/mL (95 % 20.2 to 29.8), off the drug 40.4, from 4 "
        "draws. Last E2 20.0 pg/mL (ms) on 2024-12-01 [labs line 7]. Anastrozole 1.0 mg a week since "
        "2024-03-06, last ordered on 2024-03-06 [orders line 2]."
    )
    assert "No E2 on record." in judge(draws=[])["rationale"][0]
    assert "Anastrozole, dose unknown, since" in judge([order(weekly_dose_mg=None)])["rationale"][0]
