"""Sigs: what is said is read, what is left open stays open."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.ingest.normalise.sig import LONGEST, Sig, doses, read

MONTHS_6 = 7 / (6 * 30.4375)


@pytest.mark.parametrize(
    ("sig", "mg", "per_week"),
    [
        ("0.5 mg twice weekly", 0.5, 2),
        ("0.5mg BIW", 0.5, 2),
        ("0.5 mg 2x/wk", 0.5, 2),
        ("0.5mg 3 x week", 0.5, 3),
        ("0.25mg 2 times per week", 0.25, 2),
        ("0.5 mg two times a week", 0.5, 2),
        ("0.5 mg 2/week", 0.5, 2),
        ("0.5 mg thrice weekly", 0.5, 3),
        ("0,5 mg twice weekly", 0.5, 2),
        (".5 mg 2x weekly", 0.5, 2),
        ("1 mg weekly", 1, 1),
        ("1 mg/wk", 1, 1),
        ("1 mg a week", 1, 1),
        ("0.5 mg/day", 0.5, 7),
        ("1 mg twice a day", 1, 14),
        ("1 mg BID", 1, 14),
        ("0.5 mg q12h", 0.5, 14),
        ("1 mg qHS", 1, 7),
        ("1 mg qam and qpm", 1, 14),
        ("1 mg E3D", 1, 7 / 3),
        ("1 mg q3d", 1, 7 / 3),
        ("1 mg q 72 h", 1, 7 / 3),
        ("1 mg every third day", 1, 7 / 3),
        ("1 mg once every 3 days", 1, 7 / 3),
        ("1 mg every 3.5 days", 1, 2),
        ("1 mg every 5 days", 1, 1.4),
        ("1 mg EOD", 1, 3.5),
        ("1 mg QOD", 1, 3.5),
        ("1 mg q.o.d.", 1, 3.5),
        ("1 mg every 2nd day", 1, 3.5),
        ("1 mg every other week", 1, 0.5),
        ("1 mg every other Monday", 1, 0.5),
        ("60 mg SC every 6 months", 60, MONTHS_6),
        ("1 mg 3 times a month", 1, 3 * 7 / 30.4375),
        ("0.25 mg Mon/Thu", 0.25, 2),
        ("0.5 mg on Monday and Thursday", 0.5, 2),
        ("0.25 mg Sundays and Wednesdays", 0.25, 2),
        ("0.5 mg M-W-F", 0.5, 3),
        ("0.5 mg M/Th", 0.5, 2),
        ("0.5 mg T/Th", 0.5, 2),
        ("1 mg twice weekly (Mon & Thu)", 1, 2),
        ("0.5 mg once a day on Mon, Wed, Fri", 0.5, 3),
        ("0.5 mg daily starting Monday", 0.5, 7),
        ("1 mg twice weekly at bedtime", 1, 2),
        ("1 mg daily x 30 days", 1, 7),
        ("1 mg twice weekly, every 3.5 days", 1, 2),
        ("Take 1 mg twice weekly as directed", 1, 2),
        ("0.5 mg twice weekly to reduce estradiol to 20-30", 0.5, 2),
        ("1 mg - 2 times a week", 1, 2),
        ("100 mg IM weekly", 100, 1),
        ("1 mg tablet twice weekly", 1, 2),
        ("1/2 of a 1 mg tablet MWF", 0.5, 3),
        ("half of a 1 mg tablet twice weekly", 0.5, 2),
        ("2 tablets (0.5 mg each) weekly", 1, 1),
        ("Take 0.5 tablets (0.5 mg total) by mouth 2 (two) times a week", 0.5, 2),
        ("TAKE 1 TABLET (1 MG TOTAL) BY MOUTH EVERY 3 DAYS", 1, 7 / 3),
        ("Inject 0.5 mL (100 mg) IM once a week", 100, 1),
        ("Inject 0.5 mL of 200 mg/mL once a week", 100, 1),
    ],
)
def test_a_sig_that_says_everything_is_read(sig: str, mg: float, per_week: float):
    assert read(sig)[:3] == (pytest.approx(mg), pytest.approx(per_week, rel=1e-4), False)


@pytest.mark.parametrize(
    ("sig", "strength", "drug", "mg"),
    [
        ("1/2 tab MWF", "1 mg", None, 0.5),
        ("one-half tablet MWF", "1MG TAB", None, 0.5),
        ("1/2 of one tablet MWF", "1 mg", None, 0.5),
        ("½ tab MWF", None, "Anastrozole 1 mg tablet", 0.5),
        ("take half a tablet MWF", "1 mg", "Anastrozole 1 mg tablet", 0.5),
        ("take half of one tablet MWF", "1 mg", None, 0.5),
        ("1/2 a tablet MWF", "1 mg", None, 0.5),
        ("one half-tablet MWF", "1 mg", None, 0.5),
        ("take one half (1/2) tablet MWF", "1 mg", None, 0.5),
        ("1 1/2 tabs MWF", "1 mg", None, 1.5),
        ("1½ tabs MWF", "1 mg", None, 1.5),
        ("one and a half tablets MWF", "1 mg", None, 1.5),
        ("one (1) tablet MWF", "1 mg", None, 1),
        ("take a quarter tablet MWF", "1 mg", None, 0.25),
        ("take 1 po MWF", "1 mg", None, 1),
        ("2 tablets (1 mg) MWF", "0.5 mg", None, 1),
        ("2 tablets (1 mg) MWF", "1 mg", None, 2),
        ("0.5 mL IM MWF", None, "testosterone cypionate 200 mg/mL", 100),
        ("0.25 mL IM MWF", "1000 mg/5 mL", None, 50),
        # Two strengths, none, or a total that nobody can place.
        ("1 tab MWF", "1 mg", "Anastrozole 0.5 mg tablet", None),
        ("1 tab MWF", None, "Anastrozole", None),
        ("1 tab MWF", "1", None, None),
        ("2 tablets (1 mg) MWF", None, None, None),
        ("2 pumps MWF", "20.25 mg/actuation", None, None),
        ("5 g MWF", None, "testosterone 1% gel", None),
        ("1,000 mg MWF", None, None, None),
        ("5/8 tab MWF", "1 mg", None, None),
        ("1 mg Mon, 0.5 mg Wed, 1 mg Fri", None, None, None),
    ],
)
def test_tablets_and_volumes_need_a_strength(
    sig: str, strength: str | None, drug: str | None, mg: float | None
):
    assert read(sig, strength, drug)[:3] == (mg, 3, False)


@pytest.mark.parametrize(
    "sig",
    [
        "1 mg",
        "1 mg twice every 3 days",
        "1 mg Mon-Fri",
        "1 mg Monday through Friday",
        "1 mg daily on Mon, twice weekly",
        "1 mg daily, twice a week",
        "1 mg 2x",
        "1 mg x 2 weeks",
        "1 mg every 0 days",
    ],
)
def test_what_is_not_said_once_and_clearly_is_not_a_frequency(sig: str):
    assert read(sig)[:3] == (1, None, False)


@pytest.mark.parametrize(
    "sig",
    [
        "1-2 tabs daily",
        "1 to 2 tablets daily",
        "1 mg 2-3 times a week",
        "1 mg every 2–3 days",
        "0.5mg-1mg weekly",
        "1 mg prn",
        "1 mg twice weekly as needed",
        "up to 1 mg daily",
        "1 mg daily for 2 weeks, then 0.5 mg daily",
        "1 mg daily, taper",
        "0.5 mg weekly, increase to 1 mg after 4 weeks",
    ],
)
def test_a_dose_that_varies_fixes_nothing_and_says_so(sig: str):
    assert read(sig, "1 mg") == Sig(None, None, varies=True)


@pytest.mark.parametrize(
    "sig",
    [
        None,
        "",
        "as directed",
        "use per protocol",
        "1 mg biweekly",
        "1 mg twice weekly, hold if E2 is low",
        "0.5 mg twice weekly " * 30,
    ],
)
def test_a_sig_that_may_be_misunderstood_says_nothing(sig: str | None):
    assert read(sig) == Sig(None, None)


def test_every_wording_is_read_once_and_nulls_are_a_wording():
    orders = pl.DataFrame(
        {
            "sig": ["1 tab weekly", "1 tab weekly", None, "1 tab weekly"],
            "strength": ["1 mg", "1 mg", None, "0.5 mg"],
            "raw_drug": ["Arimidex"] * 4,
            "order_id": ["a", "b", "c", "d"],
        }
    )

    assert doses(orders).select("strength", "sig_dose_mg", "sig_doses_per_week").rows() == [
        ("1 mg", 1.0, 1.0),
        (None, None, None),
        ("0.5 mg", 0.5, 1.0),
    ]


# What was dropped of a sig that was read in part, with the mg a week that it means; two more of each kind.
@pytest.mark.parametrize(
    ("sig", "mg_per_week"),
    [
        ("Take 1 tablet 3 days/week", 3),
        ("Take 1/2 tablet 2 days weekly", 1),
        ("Take 1/2 tablet two nights a week", 1),
        ("Take 1/2 tablet x2 weekly", 1),
        ("Take 1/2 tablet 2×/week", 1),
        ("Take 1 tablet each morning and evening", 14),
        ("Take 1 tablet every morning and at bedtime", 14),
        ("Take 1 tablet once to twice weekly", None),
        ("Take 1 tablet 1x-2x weekly", None),
        ("Take two half tablets weekly", 1),
        ("Take three quarter tablets weekly", 0.75),
        ("Take 1 tablet weekly, alternate weeks", 0.5),
        ("Take 1 tablet on day 1 & 4 each week", 2),
        ("Take 1 tablet five days each week", 5),
        ("Take 1/2 tablet 3 nights/wk", 1.5),
        ("Take 1/2 tablet x3/week", 1.5),
        ("Take 1/2 tablet x 4 weekly", 2),
        ("Take 1 tablet with breakfast and at night", 14),
        ("Take 1/2 tablet mane and nocte", 7),
        ("Take 1 tablet 2x or 3x weekly", None),
        ("Take 1 tablet two to three days a week", None),
        ("Take four quarter tablets weekly", 1),
        ("Take three half tablets twice weekly", 3),
        ("Take 1 tablet twice weekly on alternate weeks", 1),
        ("Take 1 tablet every other week, on alternate weeks", 0.5),
        ("Take 1/2 tablet on days 1, 3 and 5 of each week", 1.5),
        ("Take 1 tablet day 2 and 6 weekly", 2),
        # A point that was lost, a point that parts thousands, mg that may be strength or dose.
        ("05 mg twice weekly", None),
        ("00.5 mg twice weekly", None),
        ("1.000 mcg weekly", None),
        ("1.250 mg weekly", None),
        ("1.25 mg weekly", 1.25),
        ("1 mg (1/2 tab) twice weekly", None),
        ("0.5 mg (1/2 tab) twice weekly", 1),
        ("1/2 tab (1 mg tab) twice weekly", 1),
    ],
)
def test_a_sig_is_read_to_its_last_word(sig: str, mg_per_week: float | None):
    said = read(sig, "1 mg", "Anastrozole")
    known = said.dose_mg is not None and said.doses_per_week is not None

    assert (said.dose_mg * said.doses_per_week if known else None) == mg_per_week


@pytest.mark.parametrize(
    ("sig", "weekdays", "lasts_days"),
    [
        ("0.5 mg every Monday", "mon", None),
        ("0.5 mg Thu & Mon", "mon thu", None),
        ("0.5 mg T/Th/Sa", "tue thu sat", None),
        ("0.5 mg weekly on Wednesdays", "wed", None),
        ("0.5 mg every other Friday", "fri", None),
        ("0.5 mg daily starting Monday", None, None),
        ("0.5 mg on days 1 and 4 each week", None, None),
        ("0.5 mg weekly on Monday and Thursday", None, None),
        ("0.5 mg Mondays sparingly", None, None),
        ("0.5 mg daily for 10 days", None, 10),
        ("0.5 mg weekly x 8 weeks", None, 56),
        ("0.5 mg every other day x 3 doses", None, 6),
        ("0.5 mg once", None, 1),
        ("single dose of 0.5 mg", None, 1),
        ("0.5 mg daily for 2 to 3 weeks", None, None),
        ("0.5 mg daily for 999999999 days", None, None),
    ],
)
def test_a_sig_names_its_days_of_the_week_and_how_long_it_lasts(
    sig: str, weekdays: str | None, lasts_days: int | None
):
    assert read(sig)[3:] == (weekdays, lasts_days)


WORDS = st.sampled_from(
    ["0.5", "1", "1/2", "½", "mg", "tab", "ml", "mg/ml", "every", "q", "e", "3", "days", "d", "x", "week", "daily", "twice", "mon", "thu", "and", "or", "a", "-", "/", "(", ")", ",", "prn", "po", "."]
)  # fmt: skip


@given(st.one_of(st.text(max_size=LONGEST + 5), st.lists(WORDS, max_size=40).map(" ".join)))
def test_any_text_gives_positive_numbers_or_none(text: str):
    said = read(text, text, text)

    assert said.dose_mg is None or 0 <= said.dose_mg < float("inf")
    assert said.doses_per_week is None or 0 < said.doses_per_week < float("inf")
