"""What the dose response says, in words."""

from e2analytics.report.sections import dose_response
from e2analytics.tables.snapshot import empty_table
from tests.report.builders.common import frame
from tests.report.builders.curves import dose_effect, e2_check

EFFECTS = frame("dose_effects", [dose_effect(0.5, 48.0, 70), dose_effect(1.0, 60.0, 1400)])


def test_the_average_effect_is_a_sentence_and_a_table():
    found = dose_response.describe(EFFECTS, frame("e2_checks", [e2_check("dose", "off the drug")]))

    assert [(row.dose, row.suppression, row.n_men) for row in found.effects] == [
        ("0.5 mg a week", "48 % (46 to 50)", 70),
        ("1 mg a week", "60 % (58 to 62)", 1400),
    ]
    assert "1 mg of anastrozole a week takes away 60 % (95 % 58 to 62)" in found.sentence
    assert "literature" not in found.sentence
    assert "1,200 exact E2 results" in found.fit_sentence
    assert found.misfits == ()


def test_a_curve_that_the_data_cannot_carry_says_so():
    effects = frame("dose_effects", [dose_effect(1.0, 60.0, 3, prior_share=0.7)])

    found = dose_response.describe(effects, empty_table("e2_checks"))

    assert "mostly from the literature" in found.sentence


def test_who_does_not_fit_is_named():
    checks = frame(
        "e2_checks",
        [
            e2_check("laboratory", "LAB-A"),
            e2_check(
                "laboratory", "LAB-Q", n_draws=90, share_outside=0.3, mean_z=-1.24, fits=False
            ),
            e2_check("assay", "ia", share_outside=0.2, mean_z=0.66, fits=False),
            e2_check("clinic", "C09", n_draws=3, fits=None),
        ],
    )

    found = dose_response.describe(EFFECTS, checks)

    assert [(row.who, row.n_draws, row.outside, row.shift) for row in found.misfits] == [
        ("assay IA", 1200, "20 %", "0.7 SD above"),
        ("laboratory LAB-Q", 90, "30 %", "1.2 SD below"),
    ]
    assert "assay IA and laboratory LAB-Q" in found.fit_sentence


def test_too_few_men_is_said_plainly():
    found = dose_response.describe(empty_table("dose_effects"), empty_table("e2_checks"))

    assert (found.effects, found.misfits, found.fit_sentence) == ((), (), "")
    assert "Too few men" in found.sentence
