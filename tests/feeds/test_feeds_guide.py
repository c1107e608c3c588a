"""The guide to feeds says what is so: its commands are run, and what they print is compared."""

import io
import re
import shutil
import sys
import tomllib
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import yaml
from pydantic import BaseModel
from rich.console import Console

from e2analytics.cli import main
from e2analytics.cli.inspect_view import show
from e2analytics.feeds import delimited, description
from e2analytics.feeds.description import Column, Feed, load_feed, load_feeds
from e2analytics.feeds.drafting import feed_name, vocabulary
from e2analytics.feeds.mapping import to_table
from e2analytics.feeds.text_columns import TEXT_COLUMNS
from e2analytics.ingest.read_drop import judged
from e2analytics.run.inspect import inspect
from e2analytics.settings import Settings, read_settings
from tests.conftest import text_rows

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "feeds.md").read_text(encoding="utf-8")
EXAMPLE = DOCS / "examples" / "muster_labor"
TODAY = date(2026, 9, 30)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def printed(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command as the guide writes it, and return what it prints, 100 columns wide."""
    program, verb, *arguments = command.split()
    assert program == "e2analytics"
    if verb == "inspect":
        file, *option = arguments
        draft_file = Path(option[1]) if option else None
        written = io.StringIO()
        console = Console(file=written, width=100, markup=False, highlight=False)
        found = inspect(
            [Path(file)],
            read_settings(),
            today=TODAY,
            new_feed=feed_name(draft_file) if draft_file else None,
        )
        show(found, console, draft_file)
        text = written.getvalue()
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["e2analytics", verb, *arguments])
            with pytest.raises(SystemExit) as stopped:
                main.main()
        assert not stopped.value.code
        text = capsys.readouterr().out
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The worked example as it is at its beginning."""
    shutil.copytree(EXAMPLE / "drop", tmp_path / "drop")
    shutil.copy(EXAMPLE / "e2analytics.toml", tmp_path)
    (tmp_path / "feeds").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("E2ANALYTICS_KEY", "a key for the worked example")
    return tmp_path


def test_the_worked_example_is_what_happens(example: Path, capsys: pytest.CaptureFixture[str]):
    settings, drafted, first, unit_line = blocks("toml")[0], *blocks("yaml")[-3:]
    at_first, again, taught, run = [block.split("\n", 1) for block in blocks("console")]
    feed = example / "feeds" / "muster_labor.yaml"
    assert (example / "e2analytics.toml").read_text() == settings

    # 1. Look at it.
    assert printed(at_first[0].removeprefix("$ "), capsys) == at_first[1]
    assert feed.read_text() == drafted
    # 2. Finish it. 3. Look again.
    feed.write_text(first)
    assert printed(again[0].removeprefix("$ "), capsys) == again[1]
    # A word is taught: the description is now the one that is shipped with the example.
    feed.write_text(first.replace("      unit: Einheit\n", unit_line))
    assert feed.read_text() == (EXAMPLE / "feeds" / feed.name).read_text()
    assert printed(taught[0].removeprefix("$ "), capsys) == taught[1]
    # 4. Run.
    assert printed(run[0].removeprefix("$ "), capsys) == run[1]


def test_the_draft_loads_before_anything_is_settled(tmp_path: Path):
    file = tmp_path / "draft.yaml"
    file.write_text(blocks("yaml")[-3])

    assert load_feed(file).feed == "muster_labor"


def test_the_example_of_every_key_loads_and_has_every_key(tmp_path: Path):
    file = tmp_path / "every_key.yaml"
    file.write_text(blocks("yaml")[0])

    assert load_feed(file).feed == "acme_labs"
    text = yaml.safe_load(blocks("yaml")[0])
    assert set(text) == set(Feed.model_fields)
    used = {key for entry in text["files"] for key in entry}
    assert used == set(description.FileDescription.model_fields)


@pytest.mark.parametrize(
    "model",
    [
        description.Feed,
        description.FileDescription,
        description.Column,
        description.Constant,
        description.FirstOf,
        description.Join,
        description.Age,
        description.BelowDetection,
        description.Lookup,
        description.SetApartWhen,
        description.Unpivot,
        delimited.Options,
    ],
    ids=lambda model: model.__name__,
)
def test_every_key_that_a_description_may_have_is_explained(model: type[BaseModel]):
    table = "\n".join(line for line in GUIDE.splitlines() if line.startswith("| "))

    for name in model.model_fields:
        assert re.search(rf"\b{name}\b", table), name


@pytest.mark.parametrize("table", TEXT_COLUMNS)
def test_every_column_of_ours_is_explained(table: str):
    _, _, section = GUIDE.partition("## What our columns take")
    section, _, _ = section.partition("### Results")

    assert not [name for name in TEXT_COLUMNS[table] if f"`{name}`" not in section]


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("<5.0", (0.0, 5.0, None, None)),
        ("≤ 5", (0.0, 5.0, None, None)),
        ("less than 5", (0.0, 5.0, None, None)),
        ("below 5", (0.0, 5.0, None, None)),
        (">1500", (1500.0, None, None, None)),
        ("5.0 L", (5.0, 5.0, None, None)),
        ("5.0*", (5.0, 5.0, None, None)),
        ("5.0 (H)", (5.0, 5.0, None, None)),
        ("QNS", (None, None, "not_measured", None)),
        ("TNP", (None, None, "not_measured", None)),
        ("kein Material", (None, None, "not_measured", None)),
        ("folgt", (None, None, "not_measured", None)),
        ("ND", (None, None, None, "unreadable_value")),
        ("not detected", (None, None, None, "unreadable_value")),
        ("BDL", (None, None, None, "unreadable_value")),
        ("<LOD", (None, None, None, "unreadable_value")),
        ("see note", (None, None, None, "unreadable_value")),
        ("5-8", (None, None, None, "unreadable_value")),
        ("12,5", (None, None, None, "unreadable_value")),
    ],
)
def test_results_that_are_no_plain_number_become_what_the_guide_says(
    written: str, becomes: tuple[float | None, float | None, str | None, str | None]
):
    assert f"`{written}`" in GUIDE
    row = {"result_id": "1", "patient_id": "p", "collected_at": "2026-01-05", "value": written}
    row |= {"test_name": "Estradiol", "unit": "pg/mL"}

    read = judged("labs", text_rows("labs", row), timezone="UTC", today=TODAY)

    columns = ("value_low", "value_high", "excluded", "reject")
    assert (
        read.with_columns(pl.col("excluded", "reject").cast(pl.String)).select(columns).row(0)
        == becomes
    )


def test_an_order_that_is_discontinued_ends_as_the_guide_maps_it():
    mapped = yaml.safe_load(blocks("yaml")[1])
    feed = Feed.model_validate(
        {
            "feed": "x",
            "description": "x",
            "format": "delimited",
            "files": [{"target": "medications", "name": "*", "columns": mapped}],
        }
    )
    rows = pl.DataFrame(
        {
            "Status": ["Active", "Discontinued", "Discontinued", "Entered in Error", "Paused"],
            "Stop Date": [None, "2026-03-15", None, None, None],
            "source_line": [2, 3, 4, 5, 6],
            "short_line": [False] * 5,
        }
    )

    read = to_table(rows, feed, feed.files[0], source_file="f", source_order=0)

    assert read.select("status", "stopped_on").rows() == [
        ("F", None),
        ("F", "2026-03-15"),
        ("F", "unknown"),
        ("X", None),
        # Nobody has said what it means: it waits.
        ("Paused", None),
    ]


def test_no_shipped_feed_withdraws_what_has_ended():
    kinds = [kind for feed in load_feeds() for kind in feed.files if kind.target == "medications"]
    sources = [kind.columns["status"] for kind in kinds if "status" in kind.columns]
    values = [
        (word, code)
        for source in sources
        if isinstance(source, Column) and source.values
        for word, code in source.values.items()
    ]

    assert len(values) > 5
    assert not [
        word for word, code in values if code == "X" and vocabulary.key(word) in vocabulary.ended()
    ]


def test_the_decisions_it_shows_are_settings():
    for text in blocks("toml"):
        Settings.model_validate(tomllib.loads(text))


def test_every_file_it_links_is_there():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", GUIDE):
        assert (DOCS / link).exists(), link
