"""The page of evidence says what the citations say."""

import re
from importlib import import_module

import pytest

from e2analytics.reference import constants, schemas_folder
from e2analytics.run import evidence_page


def test_the_page_is_up_to_date():
    page = evidence_page.evidence_page_file().read_text(encoding="utf-8")

    assert page == evidence_page.as_markdown(), "run make docs"


def test_every_constant_and_its_source_are_on_the_page():
    page = evidence_page.as_markdown()
    cited = [each for each in vars(constants).values() if isinstance(each, constants.Cited)]

    assert len(cited) > 10
    assert all(each.source in page for each in cited)


@pytest.mark.parametrize(
    "package", sorted({each for users in evidence_page.USERS.values() for each in users})
)
def test_a_package_that_is_named_exists(package: str):
    assert import_module(f"e2analytics.{package}")


def test_every_table_with_a_source_is_on_the_page():
    cited = {
        file.stem
        for file in (schemas_folder() / "reference").glob("*.yaml")
        if re.search(r"(?<![a-z])source:", file.read_text(encoding="utf-8"))
    }

    assert cited == set(evidence_page.USERS)
