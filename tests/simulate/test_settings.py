from datetime import date

import pytest

from e2analytics.simulate import SimulationSettings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"shape": "w"},
            "shape must be one of u, threshold, rising, flat, two_sides, bone_only; got 'w'",
        ),
        ({"patients": 99}, "patients must lie in 100-900000; got 99"),
        ({"years": 1}, "years must lie in 2-20; got 1"),
        ({"on_drug_share": 0.9}, "on_drug_share must lie in 0.01-0.7; got 0.9"),
    ],
)
def test_settings_that_cannot_be_simulated_are_refused(wrong, message):
    with pytest.raises(ValueError, match=r"^\S") as refusal:
        SimulationSettings(**wrong)
    assert str(refusal.value) == message


def test_the_record_is_as_long_as_asked_and_ends_on_the_day_asked():
    settings = SimulationSettings(years=5, ends_on=date(2026, 9, 30))

    assert settings.last_day == 1826
    assert settings.opens_on == date(2021, 9, 30)
