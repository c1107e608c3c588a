"""Who is judged: men on paper who are not, each with the reason, and what a missing feed does not decide."""

from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from e2analytics.flags import cohort, judged
from e2analytics.settings import FlagSettings
from e2analytics.tables.patient_data import PatientData
from tests.flags.men import AS_OF, ago, draw, known_of, order, with_clinics

TESTOSTERONE: dict[str, Any] = {
    "drug": "testosterone",
    "drug_class": "androgen",
    "weekly_dose_mg": 100.0,
}
LEUPROLIDE: dict[str, Any] = {"drug": "leuprolide", "drug_class": "gnrh", "weekly_dose_mg": 1.9}
BICALUTAMIDE: dict[str, Any] = {
    "drug": "bicalutamide",
    "drug_class": "antiandrogen",
    "weekly_dose_mg": 350.0,
}
ANOTHER = {"patient_id": "p2", **TESTOSTERONE}


def man(orders: list[dict[str, Any]], born: date = date(1971, 3, 1), **more: Any) -> PatientData:
    """Return the rows of a man on anastrozole beside those of another of his clinic."""
    started = more.pop("trt_started_on", None)
    data, _ = known_of([order(), *orders], **more)
    other = data.patients.with_columns(patient_id=pl.lit("p2"))
    his = data.patients.with_columns(
        birth_date=pl.lit(born), trt_started_on=pl.lit(started, dtype=pl.Date)
    )
    return with_clinics(replace(data, patients=pl.concat([his, other])))


def why_not(data: PatientData) -> str | None:
    on_drug = cohort.men_on_drug(data.episodes, FlagSettings(), AS_OF)
    apart = judged.set_apart(on_drug, data, AS_OF)
    present = cohort.present_men(data, FlagSettings(), AS_OF)["patient_id"].to_list()
    assert sorted([*present, *apart["patient_id"]]) == ["p1"]
    return apart["why"].item() if len(apart) else None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (man([order(**TESTOSTERONE)]), None),
        (man([order(**ANOTHER)], trt_started_on=ago(900)), None),
        # An order that has ended counts: he still takes the drug that goes with it.
        (man([order(**TESTOSTERONE, stopped_on=ago(9))]), None),
        # So does one that waits in quarantine, and one in an implant with the drug.
        (man([order(**ANOTHER)], waiting=[("androgen", ago(99))]), None),
        (man([order(**ANOTHER), order(**TESTOSTERONE | {"drug": "testosterone_anastrozole_pellet"})]), None),
        (man([order(**ANOTHER)]), "not_on_testosterone"),
        (man([order(**ANOTHER)], trt_started_on=ago(-1)), "not_on_testosterone"),
        # Where his clinic sends nothing of testosterone, of any man, nothing follows.
        (man([]), None),
        # H29: a boy of 16, not on testosterone either.
        (man([order(**ANOTHER)], born=date(2008, 2, 1)), "under_18"),
        (man([order(**TESTOSTERONE)], born=date(2006, 12, 31)), None),
        (man([order(**TESTOSTERONE)], born=date(2007, 1, 1)), "under_18"),
        # H43: breast cancer, anastrozole with leuprolide; so told also where no testosterone is sent.
        (man([order(**LEUPROLIDE), order(**ANOTHER)]), "treated_for_cancer"),
        (man([order(**LEUPROLIDE)]), "treated_for_cancer"),
        (man([order(**LEUPROLIDE), order(**TESTOSTERONE)]), None),
        (man([order(**LEUPROLIDE), order(**TESTOSTERONE, stopped_on=ago(9))]), "treated_for_cancer"),
        (man([order(**LEUPROLIDE, stopped_on=ago(90)), order(**ANOTHER)]), "treated_for_cancer"),
        (
            man([order(**LEUPROLIDE, started_on=ago(900), stopped_on=ago(366)), order(**TESTOSTERONE, stopped_on=ago(9))]),
            None,
        ),
        # An antiandrogen is such a sign, too; one that has ended is none.
        (man([order(**BICALUTAMIDE), order(**TESTOSTERONE, stopped_on=ago(9))]), "treated_for_cancer"),
        (man([order(**BICALUTAMIDE), order(**TESTOSTERONE)]), None),
        (man([order(**BICALUTAMIDE, stopped_on=ago(5)), order(**TESTOSTERONE, stopped_on=ago(9))]), None),
        (man([order(**TESTOSTERONE)], events=[("died", ago(1))]), "died_or_left"),
    ],
)  # fmt: skip
def test_who_is_judged_and_why_others_are_not(data: PatientData, why: str | None):
    assert why_not(data) == why


def not_measured(data: PatientData) -> list[str]:
    apart = judged.set_apart_from_measures(data, FlagSettings().washout_days, AS_OF)
    return apart["why"].to_list()


GONE = [("left_clinic", ago(200))]
BOY_OF_16 = date(2008, 2, 1)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        # Gone, and judged until then.
        (man([order(**TESTOSTERONE)], events=GONE), []),
        (man([order(**TESTOSTERONE)], events=[("died", ago(200))]), []),
        # Gone, and not judged before either.
        (man([order(**ANOTHER)], events=GONE), ["not_on_testosterone"]),
        (man([order(**TESTOSTERONE)], born=BOY_OF_16, events=[("died", ago(9))]), ["under_18"]),
        (man([order(**LEUPROLIDE), order(**ANOTHER)], events=GONE), ["treated_for_cancer"]),
        # 18 today, but not on the day on which he left; and the other way round.
        (man([order(**TESTOSTERONE)], born=date(2006, 12, 1), events=GONE), ["under_18"]),
        (man([order(**TESTOSTERONE)], born=date(2006, 6, 14), events=GONE), []),
        # Cancer that came after he left, or came back to be treated.
        (man([order(**TESTOSTERONE, stopped_on=ago(150)), order(**LEUPROLIDE, started_on=ago(150))], events=GONE), []),
        (
            man(
                [order(**TESTOSTERONE, stopped_on=ago(150)), order(**LEUPROLIDE, started_on=ago(150)), order(started_on=ago(99))],
                events=GONE,
            ),
            ["treated_for_cancer"],
        ),
    ],
)  # fmt: skip
def test_who_has_gone_is_measured_if_he_was_judged_before(data: PatientData, why: list[str]):
    assert not_measured(data) == why


@pytest.mark.parametrize(
    ("orders", "born", "why"),
    [
        ([order(stopped_on=ago(99)), order(**TESTOSTERONE)], date(1971, 3, 1), []),
        ([order(stopped_on=ago(99)), order(**TESTOSTERONE)], BOY_OF_16, ["under_18"]),
        ([order(stopped_on=ago(99)), order(**ANOTHER)], date(1971, 3, 1), ["not_on_testosterone"]),
        (
            [order(stopped_on=ago(99)), order(**LEUPROLIDE, started_on=ago(150)), order(**ANOTHER)],
            date(1971, 3, 1),
            ["treated_for_cancer"],
        ),
        # Treated for cancer since, long after both had ended: he was on testosterone and the inhibitor before.
        (
            [
                order(stopped_on=ago(99)),
                order(**TESTOSTERONE, stopped_on=ago(99)),
                order(**LEUPROLIDE, started_on=ago(40)),
            ],
            date(1971, 3, 1),
            [],
        ),
    ],
)
def test_whose_drug_has_ended_is_measured_if_he_was_judged_before(
    orders: list[dict[str, Any]], born: date, why: list[str]
):
    data, _ = known_of(orders)
    other = data.patients.with_columns(patient_id=pl.lit("p2"))
    his = data.patients.with_columns(birth_date=pl.lit(born))

    men = with_clinics(replace(data, patients=pl.concat([his, other])))
    assert not_measured(men) == why


def test_a_man_who_is_set_apart_is_on_no_drug_for_the_measures():
    data = man([order(**ANOTHER)], draws=[draw()])
    pending = replace(data, pending_draws=data.draws.clear())
    apart = pl.DataFrame({"patient_id": ["p1"], "why": ["not_on_testosterone"]})

    assert judged.without_the_drug(pending, apart).episodes.is_empty()
    assert judged.without_the_drug(pending, apart).draws["on_drug"].to_list() == [False]
    assert judged.without_the_drug(pending, apart.clear()).draws["on_drug"].to_list() == [True]
