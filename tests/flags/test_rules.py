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
        *["high"] * 3,
        *["watch"] * 3,
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

    assert flag_rules.rules_id(same) == flag_rules.rules_id(FlagSettings())
    assert flag_rules.rules_id(same) != flag_rules.rules_id(other)


def test_a_flag_cannot_close_above_where_it_opens():
    with pytest.raises(ValidationError, match="it would close at once"):
        FlagSettings(closing_probability=0.6)
