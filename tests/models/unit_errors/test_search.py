"""Unit slips: what a factor between two units looks like, and what only looks like one."""

from dataclasses import replace

import numpy as np
import pytest

from e2analytics.models.unit_errors.arrays import UNKNOWN, UNTREATED, Belief, Results, Slip
from e2analytics.models.unit_errors.search import find
from e2analytics.models.unit_errors.slip_evidence import Group, judge

FACTOR = np.log(1 / 0.27238)  # pmol/L declared as pg/mL
UP, DOWN = 0, 1
SHIFTS = np.array([FACTOR, -FACTOR, np.log(10.0), -np.log(10.0)])
BELIEF = Belief(centre=(np.log(34.0), np.log(13.5), np.log(30.0)), centre_sd=0.22, shifts=SHIFTS)
N_LABORATORIES, N_MONTHS, N_MEN = 8, 12, 3000


def results(
    *,
    slipped: int | None = None,
    months: range = range(N_MONTHS),
    share: float = 1.0,
    by: float = FACTOR,
    treated: int = UNTREATED,
    scatter: float = 0.0,
    seed: int = 1,
) -> Results:
    """Every man is drawn every fourth month; laboratory ``slipped`` slips by ``by``, or all do."""
    rng = np.random.default_rng(seed)
    level = rng.normal(np.log(34), 0.4, N_MEN)
    own = rng.normal(0, scatter, N_MEN)
    bias = rng.normal(0, 0.1, N_LABORATORIES)
    man, month = np.nonzero(rng.random((N_MEN, N_MONTHS)) < 0.25)
    usual = man % N_LABORATORIES
    elsewhere = rng.integers(0, N_LABORATORIES, len(man))
    laboratory = np.where(rng.random(len(man)) < 0.85, usual, elsewhere)
    value = level[man] + bias[laboratory] + rng.normal(0, 0.22, len(man))
    moved = np.isin(month, list(months)) & (rng.random(len(man)) < share)
    if slipped is not None:
        moved &= laboratory == slipped
    value = value + moved * (by + own[man])
    everywhere = np.zeros(len(man), dtype=np.int64)
    return Results(
        log_value=value,
        man=man,
        month=month,
        treated=np.full(len(man), treated),
        sources=(laboratory, everywhere),
        released=np.zeros(len(man), dtype=bool),
    )


NOTHING = {"months": range(0)}


def some(given: Results, rows: list[int] | np.ndarray) -> Results:
    at = np.asarray(rows, dtype=np.int64)
    return Results(
        given.log_value[at],
        given.man[at],
        given.month[at],
        given.treated[at],
        tuple(codes[at] for codes in given.sources),
        given.released[at],
    )


def told(slips: tuple[Slip, ...]) -> list[tuple[int, int, int, int]]:
    return [(s.kind, s.source, s.month, s.shift) for s in slips if s.decided]


def test_where_nothing_slipped_nothing_is_found():
    assert find(results(**NOTHING), BELIEF) == ()


def test_no_results_no_slips():
    assert find(some(results(**NOTHING), []), BELIEF) == ()


@pytest.mark.parametrize(("by", "shift"), [(FACTOR, UP), (-FACTOR, DOWN)])
def test_months_that_slipped_are_found_and_no_others(by: float, shift: int):
    given = results(slipped=2, months=range(5, 8), by=by)

    found = find(given, BELIEF)

    assert told(found) == [(0, 2, month, shift) for month in (5, 6, 7)]
    assert all(slip.whole for slip in found)
    wrong = (given.sources[0] == 2) & np.isin(given.month, [5, 6, 7])
    assert sorted(np.concatenate([slip.rows for slip in found])) == list(np.flatnonzero(wrong))


def test_of_a_month_that_slipped_in_part_only_the_results_that_did_are_suspect():
    given = results(slipped=2, months=range(6, 7), share=0.3)
    right = results(**NOTHING)
    moved = np.flatnonzero(~np.isclose(given.log_value, right.log_value))

    (slip,) = find(given, BELIEF)

    assert (slip.kind, slip.source, slip.month, slip.shift) == (0, 2, 6, UP)
    assert not slip.whole
    assert len(np.intersect1d(slip.rows, moved)) >= 0.8 * len(moved)
    assert len(np.setdiff1d(slip.rows, moved)) <= 0.1 * len(moved)


@pytest.mark.parametrize("by", [FACTOR, -FACTOR])
def test_a_source_that_slipped_from_its_first_month_is_found_by_its_population(by: float):
    found = find(results(slipped=2, by=by), BELIEF)

    assert {(kind, source) for kind, source, _, _ in told(found)} == {(0, 2)}
    assert [month for _, _, month, _ in told(found)] == list(range(N_MONTHS))


def test_a_slip_that_ended_is_found_before_its_end_not_after_it():
    found = find(results(slipped=2, months=range(4)), BELIEF)

    assert told(found) == [(0, 2, month, UP) for month in range(4)]


def test_of_all_sources_that_slipped_together_clinical_knowledge_alone_can_tell():
    found = find(results(), BELIEF)

    rows = np.concatenate([slip.rows for slip in found])
    assert len(np.unique(rows)) == len(rows)
    assert len(rows) >= 0.98 * len(results().log_value)


def test_a_few_men_of_one_source_are_not_enough_to_tell():
    given = results()
    few = some(given, np.flatnonzero(given.man < 14))
    one = replace(few, sources=(few.sources[1],))

    (slip,) = find(one, BELIEF)

    assert not slip.decided
    assert len(slip.rows) == 0
    assert slip.shift == UP


def test_a_few_odd_results_of_men_never_seen_before_are_told_and_nobody_is_suspect():
    given = results(**NOTHING)
    once = some(given, np.unique(given.man, return_index=True)[1])
    low = (once.sources[0] == 2) & (once.month == 1) & (np.arange(len(once.man)) % 3 == 0)
    boys = replace(once, log_value=once.log_value - np.log(10.0) * low)

    found = find(boys, BELIEF)

    assert [(slip.doubt, slip.month, len(slip.rows)) for slip in found] == [("no_history", 1, 0)]


def test_men_who_all_start_anastrozole_unknown_to_us_are_no_slip():
    # 3 mg a week lowers E2 by 72 %, as pg/mL declared as pmol/L would.
    drug = float(np.log(1 - 0.8 * 3 / 3.32))

    found = find(
        results(slipped=2, months=range(6, N_MONTHS), by=drug, scatter=0.22, treated=UNKNOWN),
        BELIEF,
    )

    assert told(found) == []
    assert all(len(slip.rows) == 0 for slip in found)


def test_a_fall_of_men_known_to_take_no_drug_is_a_slip():
    fall = {"slipped": 2, "months": range(6, 7), "by": -FACTOR}

    assert told(find(results(**fall, treated=UNTREATED), BELIEF)) == [(0, 2, 6, DOWN)]
    assert told(find(results(**fall, treated=UNKNOWN), BELIEF)) == []


@pytest.mark.parametrize("by", [0.15, 0.35, -0.35, 0.8])
def test_a_new_assay_or_another_time_of_the_draw_is_no_slip(by: float):
    found = find(results(slipped=2, months=range(6, N_MONTHS), by=by, treated=UNKNOWN), BELIEF)

    assert told(found) == []


def test_what_was_released_is_reported_and_never_suspect():
    given = results(slipped=2, months=range(5, 6))
    there = (given.sources[0] == 2) & (given.month == 5)
    released = replace(given, sources=given.sources[:1], released=there)

    first = find(released, BELIEF)[0]

    assert (first.month, first.source, first.decided) == (5, 2, True)
    assert len(first.rows) == 0


def test_a_man_is_one_witness_however_often_he_was_drawn():
    def evidence(times: int) -> float:
        n = 4 * times
        group = Group(
            deviation=np.full(n, FACTOR),
            sd=np.full(n, 0.35),
            weight=np.full(n, 1 / times),
            offset_sd=0.12,
            may_fall=np.zeros(n, dtype=bool),
            may_rise=np.zeros(n, dtype=bool),
        )
        return judge(group, SHIFTS, 0.005, enough=5.0).log_bf

    assert evidence(1) == pytest.approx(evidence(10))


def test_the_same_results_give_the_same_slips():
    given = results(slipped=2, months=range(5, 8), share=0.5)

    first, second = find(given, BELIEF), find(given, BELIEF)

    assert [s.log_bf for s in first] == [s.log_bf for s in second]
    assert told(first) == told(second)
