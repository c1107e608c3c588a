"""The page of settings, and the configuration made of them, say what the settings are."""

import tomllib
from pathlib import Path

from e2analytics.run import settings_page
from e2analytics.settings import Settings, read_settings


def test_the_page_is_up_to_date():
    page = settings_page.settings_page_file().read_text(encoding="utf-8")

    assert page == settings_page.as_markdown(), "run make docs"


def test_every_setting_says_what_it_means():
    found = [setting for group in settings_page.groups() for setting in group.settings]

    assert len(found) > 40
    assert not [each.name for each in found if not each.description]


def test_a_setting_is_shown_with_its_range_and_its_default():
    page = settings_page.as_markdown()

    assert "| `red_line_pg_ml` | number, above 0 | `10.0` | E2 below it is critical. |" in page
    assert "## `[[slips.decisions]]`" in page
    assert "| `action` | `release` or `convert` |" in page


def test_the_configuration_with_its_comments_is_that_without_any(tmp_path: Path):
    file = tmp_path / "e2.toml"
    file.write_text(settings_page.as_toml(), encoding="utf-8")

    assert read_settings(file).model_dump() == Settings().model_dump()


def test_a_setting_takes_no_more_than_its_mark_away(tmp_path: Path):
    file = tmp_path / "e2.toml"
    text = settings_page.as_toml(timezone='"Europe/Berlin"')
    file.write_text(text.replace("# red_line_pg_ml = 10.0", "red_line_pg_ml = 9.0"), "utf-8")

    settings = read_settings(file)

    assert settings.flag.red_line_pg_ml == 9.0
    assert settings.timezone == "Europe/Berlin"


def test_every_default_in_the_configuration_is_that_of_the_settings():
    lines = settings_page.as_toml().splitlines()
    uncommented = [
        line.removeprefix("# ")
        for line in lines
        if line.startswith("[") or (" = " in line and " = ..." not in line)
    ]

    written = Settings.model_validate(tomllib.loads("\n".join(uncommented)))

    assert written == Settings()
