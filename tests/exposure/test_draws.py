"""E2 draws with the drug of their day."""

import polars as pl
import pytest

from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes
from e2analytics.settings import FlagSettings
from tests.exposure.orders import day, orders


@pytest.mark.parametrize(
    ("drawn", "on_drug", "in_transition"),
    [
        (-1, False, False),  # before the start
        (0, True, True),  # from the start until steady state
        (13, True, True),
        (14, True, False),
        (99, True, False),
        (100, False, True),  # from the end until washed out
        (113, False, True),
        (114, False, False),
    ],
)
def test_a_draw_knows_the_drug_of_its_day(drawn: int, on_drug: bool, in_transition: bool):
    labs = pl.DataFrame(
        {"patient_id": ["p1"], "analyte": ["estradiol"], "collected_on": [day(drawn)]}
    )

    found = link_draws(labs, find_episodes(orders(("anastrozole", 0, 100, 1.0))), FlagSettings())

    assert found.select("on_drug", "in_transition", "on_other").row(0) == (
        on_drug,
        in_transition,
        False,
    )


def test_a_draw_under_another_inhibitor_is_marked():
    labs = pl.DataFrame({"patient_id": ["p1"], "analyte": ["estradiol"], "collected_on": [day(50)]})

    found = link_draws(labs, find_episodes(orders(("letrozole", 0, None, 2.5))), FlagSettings())

    assert found.select("on_drug", "on_other").row(0) == (False, True)
