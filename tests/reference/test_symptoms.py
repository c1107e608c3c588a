"""Spellings of symptoms: what is understood to its last word, and what stays unknown."""

from __future__ import annotations

import polars as pl
import pytest

from e2analytics.reference import load
from e2analytics.reference.symptoms import kind_of, kinds

UNDERSTOOD = {
    "gynaecomastia": ("gynecomastia", "Gynaecomastia", "GYNECOMASTIA", " gynecomastia "),
    "breast_tenderness": ("Breast Tenderness", "breast-tenderness", "BREAST_TENDERNESS", "tender breasts"),
    "hot_flush": ("Hot Flush", "hot-flash", "hot flashes", "Hot_Flushes", "hot\u00a0flash", "hot\u2010flush"),
    "fluid_retention": ("fluid retention / edema", "Edema", "oedema", "water retention", "edema; fluid-retention"),
    "low_libido": ("Low libido", "decreased libido", "loss of sex drive", "low-libido, decreased libido"),
    "joint_pain": ("arthralgia", "Joint Pains", "pain in joints", "joint__pain"),
    "mood": ("mood", "Mood swings", "low mood"),
}  # fmt: skip
UNKNOWN = (
    "", "  ", "itch", "no gynecomastia", "gynecomastia resolved", "gynecomastia?", "r/o gynecomastia", "edema, ankle",
    "fluid retention / gynecomastia", "edema /", "/", "libido", "high libido", "libido ok", "good mood", "joint",
    "joint stiffness", "flushing", "breast", "breast pain", "breast enlargement", "hot", "hotflush1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        *((written, kind) for kind, listed in UNDERSTOOD.items() for written in listed),
        *((written, None) for written in UNKNOWN),
    ],
)
def test_a_symptom_is_named_only_where_every_word_is_understood(written: str, kind: str | None):
    found = pl.DataFrame({"written": [written]}).select(kind_of(pl.col("written")))

    assert found.item() == kind


def test_nothing_written_names_no_symptom():
    nothing = pl.DataFrame({"written": [None]}, schema={"written": pl.String})

    assert nothing.select(kind_of(pl.col("written"))).item() is None


def test_a_spelling_stands_for_one_kind_and_every_kind_for_itself():
    listed = [each for kind in load("symptoms")["symptoms"].values() for each in kind["spellings"]]
    named = pl.DataFrame({"written": [*kinds()]}).select(kind_of(pl.col("written")))

    assert len(listed) == len(set(listed))
    assert named.to_series().to_list() == [*kinds()]
