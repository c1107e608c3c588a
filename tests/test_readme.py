"""The README says what is so."""

import re
from contextlib import chdir
from pathlib import Path

import polars as pl
import pytest

from e2analytics.cli.main import VERBS
from e2analytics.report.formatting import number
from e2analytics.tables.snapshot import Outputs

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sample() -> Outputs:
    """What the lines for a notebook make, run as they stand."""
    (lines,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    made: dict[str, Outputs] = {}
    with chdir(REPOSITORY):
        exec(lines, made)  # noqa: S102 - our own README
    return made["outputs"]


def test_the_figures_of_the_demo_are_those_of_the_sample(sample: Outputs):
    tiers = dict(sample.tables["flags"].group_by("tier").len().rows())
    summary = sample.tables["curve_summary"]
    primary = summary.filter(pl.col("site") == "pooled").row(0, named=True)

    assert f"Read 6 file(s) with {sample.counts['rows_read']:,} rows." in README
    assert f"{sample.counts['rows_read']:,} = {sample.counts['accepted']:,} accepted" in README
    assert (
        f"{primary['verdict']} ({primary['n_intervals']:,} rows of {primary['n_patients']:,} men)"
        in README
    )
    limit, *ends = (
        number(primary[f"lower_limit_{part}"]) for part in ("pg_ml", "ci_low", "ci_high")
    )
    assert f"lower limit {limit} ({' to '.join(ends)}) pg/mL" in README
    assert f"600 men, {sample.counts['men_on_drug']} on an aromatase inhibitor" in README
    flagged = ", ".join(f"{tiers[tier]} {tier}" for tier in ("critical", "high", "watch"))
    assert f"flagged: {flagged}." in README


def test_every_file_it_links_is_there():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (REPOSITORY / link).exists(), link


def test_every_make_target_it_names_is_there():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{target}: " in makefile


def test_every_verb_it_names_is_there():
    for verb in set(
        re.findall(r"e2analytics (run|status|report|export|limits|inspect|app)\b", README)
    ):
        assert verb in VERBS
