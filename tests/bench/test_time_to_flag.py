"""How fast flags follow men who move: the counting by hand, and the rates that `make validate` shows at length."""

from dataclasses import replace

import numpy as np
import pytest

from bench.validation import time_to_flag
from bench.validation.time_to_flag import Waits, pooled, timed, waits


def rows(*lines: str) -> np.ndarray:
    return np.array([[each == "1" for each in line] for line in lines])


def test_draws_are_counted_from_the_first_that_finds_him_below():
    below = rows("0111100", "0110000", "0111111", "1111000", "0111000")
    flag = rows("0001100", "0000000", "0100000", "1111000", "1111000")

    found = waits(flag, below)

    # Third draw; recovered after two; at once. Two had an open flag, or were below from the beginning.
    assert found.waited[:4].tolist() == [3, 2, 1, 0]
    assert found.came[:4].tolist() == [1, 0, 1, 0]
    assert found.share_by(1) == pytest.approx(1 / 3)
    assert found.share_by(3) == 1
    assert found.median == 3


def test_a_wait_that_never_ends_has_no_median():
    assert Waits(np.array([4.0, 4, 4]), np.array([1.0, 0, 0])).median == np.inf


def test_an_opening_is_false_while_he_is_in_range():
    away = np.log([[1.5, 1.5, 1.1, 0.9, 1.3]])
    flag, day = rows("01011"), np.array([[0.0, 100, 200, 300, 400]])

    found = timed("rule", "ms", flag, away, day)

    assert (found.false_openings, found.of_them_near) == (1, 0)
    # The draw of day 300 finds him below.
    assert found.months_in_range == pytest.approx(300 / (365.25 / 12))


def test_where_levels_drift_flags_follow_within_two_draws(monkeypatch):
    small = replace(time_to_flag.DESIGN, n_men=700, ms_share=1.0)
    monkeypatch.setattr(time_to_flag, "DESIGN", small)

    found = [row for row in time_to_flag.time_rules(41) if row.assay == "ms"]

    by_rule = {row.rule: row for row in found}
    model, static, last = (by_rule[name] for name in ("model", "static model", "last value"))
    assert model.opens.waited[0] > 100
    assert model.opens.median <= 2
    assert model.closes.median <= 2
    assert static.opens.median > 3
    rates = [row.false_openings / row.months_in_range for row in (model, last)]
    assert rates[0] < 0.5 * rates[1]
    slow = [row._replace(assay="ia", closes=static.closes) for row in found]
    table = time_to_flag.table([*found, *slow])
    assert table["rule"].to_list() == [*time_to_flag.RULES] * 2
    assert pooled([model.opens, model.opens]).waited[0] == 2 * model.opens.waited[0]
    by_mass_spectrometry, by_immunoassay = time_to_flag.in_words([*found, *slow]).split(". ")
    assert by_mass_spectrometry.endswith("which is met")
    assert by_immunoassay.startswith("With results by immunoassay")
    assert by_immunoassay.endswith("which is not met.")
