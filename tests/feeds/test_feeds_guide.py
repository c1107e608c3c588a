"""The guide to feeds says what is so: its commands are run, and what they print is compared."""

import io
import re
import shutil
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from rich.console import Console

from e2analytics.cli import main
from e2analytics.cli.inspect_view import show
from e2analytics.feeds import delimited, description
from e2analytics.feeds.description import Feed, load_feed
from e2analytics.feeds.drafting import feed_name
from e2analytics.run.inspect import inspect
from e2analytics.settings import Settings, read_settings

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
    settings, drafted, first, unit_line = blocks("toml")[0], *blocks("yaml")[1:]
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
    file.write_text(blocks("yaml")[1])

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


def test_the_decisions_it_shows_are_settings():
    for text in blocks("toml"):
        Settings.model_validate(tomllib.loads(text))


def test_every_file_it_links_is_there():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", GUIDE):
        assert (DOCS / link).exists(), link
