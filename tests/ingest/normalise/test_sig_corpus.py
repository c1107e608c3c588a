"""A corpus of sigs whose weekly doses were worked out by hand: none is read wrong."""

from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.ingest.normalise import sig
from e2analytics.reference import load

SAME = 1e-3
"""The corpus gives doses to four digits."""


class Written(NamedTuple):
    sig: str
    strength: str | None
    mg_per_week: float | None


def corpus() -> list[Written]:
    groups = yaml.safe_load(Path(__file__).with_name("sigs.yaml").read_text(encoding="utf-8"))
    return [
        Written(str(written), group["strength"], dose)
        for group in groups
        for dose, sigs in group["mg_per_week"].items()
        for written in sigs
    ]


def weekly(written: Written, more: str = "") -> float | None:
    said = sig.read(written.sig + more, written.strength, "anastrozole")
    known = said.dose_mg is not None and said.doses_per_week is not None
    return said.dose_mg * said.doses_per_week if known else None


CORPUS = corpus()
UNDERSTOOD = [each for each in CORPUS if weekly(each) is not None]


def test_no_sig_of_the_corpus_is_read_wrong():
    wrong = [
        (each, dose)
        for each in CORPUS
        if (dose := weekly(each)) is not None and dose != pytest.approx(each.mg_per_week, rel=SAME)
    ]
    assert wrong == []
    assert len({(each.sig, each.strength) for each in CORPUS}) == len(CORPUS)


def test_nearly_all_sigs_that_mean_one_dose_are_understood():
    left = [each.sig for each in CORPUS if each.mg_per_week is not None and weekly(each) is None]

    # 726 sigs: 499 understood, 227 unknown, and 218 of these mean no dose that anybody could tell.
    assert (len(CORPUS), len(UNDERSTOOD)) == (726, 499)
    assert left == [
        # May be on the days of the injection only.
        "Take 1/2 tablet by mouth on Tuesday and Friday with testosterone",
        "1 tablet daily for a week",
        # Doses that differ from day to day, or that are added up.
        "1 mg Monday, 0.5 mg Wednesday, 0.5 mg Friday",
        "1 mg Monday and 0.5 mg Thursday",
        "1 tablet Monday, 1/2 tablet Thursday",
        "1 tablet in the morning and 1/2 tablet at night",
        "1 tablet daily and 1 tablet on Monday",
        "0.5 mg + 0.5 mg weekly",
        "1/2 tablet Monday morning and 1/2 tablet Thursday evening",
    ]


WORDS = {
    word
    for groups in load("sigs")["words"].values()
    for group in groups
    for word in ([group] if isinstance(group, str) else group)
}
KNOWN = {part for phrase in {*WORDS, *load("sigs")["varies"]} for part in phrase.split()}


@given(
    st.sampled_from(UNDERSTOOD),
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=12).filter(
        lambda it: it not in KNOWN
    ),
)
def test_an_unknown_word_more_makes_any_sig_unknown(written: Written, word: str):
    assert weekly(written, f" {word}") is None
    assert weekly(written, f", {word} 2") is None
    assert sig.read(f"{word} {written.sig}", written.strength, "anastrozole")[:2] == (None, None)


@pytest.mark.parametrize(
    "more", [" prn", ", then 1 mg", " or 2 mg", "; up to 2 mg", " to 2 mg", " hold"]
)
def test_what_leaves_the_dose_open_does_so_after_every_sig(more: str):
    assert [each.sig for each in UNDERSTOOD if weekly(each, more) is not None] == []
