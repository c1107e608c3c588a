"""The quality measures as they are written: no name in them is misspelt."""

import pytest
from pydantic import ValidationError

from e2analytics import reference
from e2analytics.reference import measures
from e2analytics.reference.measures import Measures


def test_measures_that_outside_readers_could_subtract_are_parts_of_each_other():
    assert measures.load().wholes_and_parts() == (
        ("e2_below_amber_line", "e2_below_red_line"),
        ("vitamin_d_tested", "vitamin_d_sufficient"),
    )


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("e2_below_red_line", {"part_of": "e2_bellow"}, "there is no measure e2_bellow"),
        ("e2_below_red_line", {"part_of": "e2_below_red_line"}, "more than one part, or is itself"),
        (
            "vitamin_d_tested",
            {"part_of": "e2_below_amber_line"},
            "more than one part, or is itself",
        ),
        ("bone_loss", {"part_of": "e2_below_red_line"}, "more than one part, or is itself"),
        ("e2_below_red_line", {"part_of": "ms_share"}, "differ in unit or months"),
        ("bone_loss", {"comparator_of": "bone_lost"}, "there is no measure bone_lost"),
        ("bone_loss", {"comparator_of": "ms_share"}, "differ in unit or months"),
    ],
)
def test_a_wrong_whole_is_found_when_the_measures_are_loaded(
    name: str, change: dict[str, object], message: str
):
    written = reference.load("measures")
    changed = written["measures"] | {name: written["measures"][name] | change}

    with pytest.raises(ValidationError, match=message):
        Measures.model_validate(written | {"measures": changed})


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("measures", {"bone_loss": {"needs": ["dxa", "dex"]}}, "there is no source dex"),
        ("sources", {"psa": {"kind": "x-ray"}}, "Input should be 'laboratory', 'event' or 'other'"),
        ("sources", {"symptom": {"kind": "laboratory"}}, "there is no analyte symptom"),
    ],
)
def test_a_wrong_source_is_found_when_the_measures_are_loaded(
    section: str, change: dict[str, dict[str, object]], message: str
):
    written = reference.load("measures")
    entries = written[section]
    changed = entries | {name: entries[name] | facts for name, facts in change.items()}

    with pytest.raises(ValidationError, match=message):
        Measures.model_validate(written | {section: changed})
