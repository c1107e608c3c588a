"""The rules of flags: every name in them means something, and every number has a source."""

import pytest
from pydantic import ValidationError

from e2analytics import reference
from e2analytics.flags import rules as flag_rules
from e2analytics.flags.rules import FlagRules
from e2analytics.settings import FlagSettings
from e2analytics.tables.vocabulary import STATUSES


def test_the_rules_load_in_the_order_in_which_they_are_asked():
    rules = flag_rules.load()

    assert tuple(rules.statuses) == ("not_assessable", *(s for s in STATUSES[:3]))
    assert [tier.tier for tier in rules.tiers.values()] == [
        *["critical"] * 2,
        *["high"] * 5,
        *["watch"] * 5,
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"any": ["deep_bellow_range"]}, "there is no reason deep_bellow_range"),
        ({"tier": "urgent"}, "Input should be 'critical', 'high' or 'watch'"),
        ({"source": ""}, "at least 1 character"),
    ],
)
def test_a_slip_of_the_pen_in_the_rules_is_found_when_they_are_loaded(
    change: dict[str, object], message: str
):
    written = reference.load("flag_rules")
    slipped = {"low": written["tiers"]["low"] | change}

    with pytest.raises(ValidationError, match=message):
        FlagRules.model_validate(written | {"tiers": written["tiers"] | slipped})


def test_rules_with_another_threshold_have_another_name():
    same, other = FlagSettings(), FlagSettings(probability=0.6)

    rules = flag_rules.load()

    assert rules.id_with(same) == rules.id_with(FlagSettings())
    assert rules.id_with(same) != rules.id_with(other)


def changed(section: str, name: str, **change: object) -> FlagRules:
    """Return the rules with another entry."""
    written = reference.load("flag_rules")
    entry = {name: written[section][name] | change}
    return FlagRules.model_validate(written | {section: written[section] | entry})


@pytest.mark.parametrize(
    ("section", "name", "change"),
    [
        ("reasons", "old_order", {"words": "old", "rule": "old", "changes_with": "a new one"}),
        ("reasons", "old_order", {"source": "Another one.", "confidence": "high"}),
        ("reasons", "old_order", {"with_time": [], "means_low_e2": True}),
        ("statuses", "in_range", {"words": "fine", "rule": "else", "source": "As before."}),
        ("tiers", "low", {"source": "Our own rule.", "confidence": "low"}),
        ("gaps", "no_vitamin_d", {"words": "no vitamin D", "source": "Watts 2012."}),
    ],
)
def test_rules_that_are_worded_anew_keep_their_name(
    section: str, name: str, change: dict[str, object]
):
    settings = FlagSettings()

    assert changed(section, name, **change) != flag_rules.load()
    assert changed(section, name, **change).id_with(settings) == flag_rules.load().id_with(settings)


@pytest.mark.parametrize(
    ("section", "name", "change"),
    [
        ("reasons", "old_order", {"role": "obstacle"}),
        ("reasons", "old_order", {"settings": ["stale_feed_days"]}),
        ("tiers", "low", {"tier": "high"}),
        ("tiers", "low", {"any": ["perhaps_below_range"]}),
        ("tiers", "low", {"also": ["osteoporosis"]}),
        ("tiers", "low", {"unless": ["held_open"]}),
        ("gaps", "immunoassay_to_repeat", {"limits": {"e2_pg_ml": 25}}),
        ("gaps", "no_vitamin_d", {"measure": "vitamin_d_sufficient"}),
    ],
)
def test_rules_that_decide_otherwise_have_another_name(
    section: str, name: str, change: dict[str, object]
):
    settings = FlagSettings()

    assert changed(section, name, **change).id_with(settings) != flag_rules.load().id_with(settings)


def test_rules_in_another_order_have_another_name():
    written = reference.load("flag_rules")
    tiers = dict(reversed(written["tiers"].items()))
    other = FlagRules.model_validate(written | {"tiers": tiers})

    assert other.id_with(FlagSettings()) != flag_rules.load().id_with(FlagSettings())


def test_reasons_that_come_and_go_with_time_or_mean_a_low_e2_are_those():
    rules = flag_rules.load()

    assert set(rules.reasons_with_time("appears")) == {
        *("no_recent_e2", "e2_too_uncertain", "old_order", "stale_feed", "long_below_range"),
        "denosumab_not_followed",
    }
    assert set(rules.reasons_with_time("disappears")) == {
        *(
            "dose_changed_recently",
            "result_below_red_line",
            "was_below_red_line",
            "e2_fell",
            "e2_rose",
            "on_glucocorticoid_now",
            "other_e2_drug",
            "free_e2_low",
            "bone_loss_exceeds_lsc",
            "bone_loss_repeated",
            "osteoporosis",
            "bone_below_expected_for_age",
        ),
        "long_below_range",
    }
    assert set(rules.reasons_of_low_e2()) == {
        *("below_range_by_the_drug", "low_without_the_drug", "perhaps_below_range"),
        *("probably_below_red_line", "held_open"),
    }


def test_a_flag_cannot_close_above_where_it_opens():
    with pytest.raises(ValidationError, match="it would close at once"):
        FlagSettings(closing_probability=0.6)
