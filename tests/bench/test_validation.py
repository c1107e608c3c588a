"""The validation's document: composed of stored sections, each table with where it comes from."""

from pathlib import Path

import altair as alt
import polars as pl

from bench.validation.__main__ import SECTIONS
from bench.validation.document import Provenance, compose, store
from bench.validation.section import Chart, Section

PROVENANCE = Provenance(
    made_on="2026-11-25",
    cores=2,
    memory_gib=24,
    minutes=13.6,
    command="python -m bench.validation --section first --replicates 40 --seed 1",
    replicates=40,
    seed=1,
)
TABLE = pl.DataFrame({"planted": ["3%", "all"], "found": [0.12345, 1.0], "of": [40, None]})
CHART = Chart(
    alt.Chart(alt.Data(values=[{"x": 1, "y": 2}])).mark_point().encode(x="x:Q", y="y:Q"),
    "One point",
)


def test_a_table_stands_with_replicates_seed_day_machine_and_command(tmp_path: Path):
    store("first", "What is found", Section(("Some words.", TABLE)), PROVENANCE, tmp_path)

    text = compose(["first"], tmp_path).read_text()

    assert text.split("## What is found\n\n")[1] == (
        "Some words.\n\n"
        "| planted | found | of |\n"
        "| --- | --: | --: |\n"
        "| 3% | 0.123 | 40 |\n"
        "| all | 1 | – |\n\n"
        "*40 replicates, seed 1; 2026-11-25, 2 cores, 24 GiB, 14 min: "
        "`python -m bench.validation --section first --replicates 40 --seed 1`*\n"
    )


def test_a_section_run_again_leaves_the_others_as_they_were(tmp_path: Path):
    store("second", "Two", Section(("Stays.",)), PROVENANCE, tmp_path)
    store("first", "One", Section(("Old.",)), PROVENANCE, tmp_path)
    store("first", "One", Section(("New.",)), PROVENANCE, tmp_path)

    text = compose(["first", "second", "never run"], tmp_path).read_text()

    assert text.endswith("## One\n\nNew.\n\n## Two\n\nStays.\n")


def test_charts_are_files_beside_the_document_and_old_ones_go(tmp_path: Path):
    store("first", "One", Section((CHART, CHART)), PROVENANCE, tmp_path)
    store("first", "One", Section((CHART,)), PROVENANCE, tmp_path)

    text = compose(["first"], tmp_path).read_text()

    assert "![One point](validation/first-1.svg)" in text
    charts = list((tmp_path / "docs" / "validation").iterdir())
    assert [chart.name for chart in charts] == ["first-1.svg"]
    assert charts[0].read_text().startswith("<svg")


def test_every_section_says_what_it_is():
    names = [section.NAME for section in SECTIONS]

    assert len(set(names)) == len(names)
    assert all(section.TITLE and section.REPLICATES > 0 for section in SECTIONS)
