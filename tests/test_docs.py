"""What the pages name exists."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "GLOSSARY.md", *sorted(
    f"{page.relative_to(REPOSITORY)}" for page in (REPOSITORY / "docs").glob("*.md")
))  # fmt: skip
# An example's own files, and what a run makes.
NOT_OURS = re.compile(r"^(feeds|drop|demo|bench/results)/|^\.venv/|/$|<|\*")


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.]+/)+[\w.]+\.(?:py|yaml|md|toml|html\.j2))`", text))
    places = (REPOSITORY, REPOSITORY / "src/e2analytics")

    missing = {
        path
        for path in named
        if not NOT_OURS.search(path) and not any((place / path).exists() for place in places)
    }

    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str):
    file = REPOSITORY / page
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8"))

    assert not {link for link in links if not (file.parent / link).exists()}
