"""Settings: who wins, and what a mistake is told."""

from pathlib import Path

import pytest

from e2analytics.errors import ConfigurationError, UnreadableError
from e2analytics.settings import read_settings


def test_defaults_are_the_cited_numbers():
    settings = read_settings()

    assert settings.flag.literature_limit_pg_ml == 16.0
    assert settings.flag.red_line_pg_ml == 10.0
    assert settings.fit.primary_site == "pooled"


def test_the_environment_wins_over_the_file_and_keywords_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "e2.toml"
    file.write_text(
        'timezone = "Europe/Berlin"\n[flag]\nliterature_limit_pg_ml = 14\nred_line_pg_ml = 9\n'
    )
    monkeypatch.setenv("E2ANALYTICS_FLAG__LITERATURE_LIMIT_PG_ML", "15")

    settings = read_settings(file)

    assert settings.flag.literature_limit_pg_ml == 15
    assert settings.flag.red_line_pg_ml == 9
    assert settings.timezone == "Europe/Berlin"
    assert read_settings(file, timezone="UTC").timezone == "UTC"


def test_the_file_of_the_working_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "e2analytics.toml").write_text("[fit]\nseed = 5\n")
    monkeypatch.chdir(tmp_path)

    assert read_settings().fit.seed == 5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[flag]\nliterature_limit = 14\n", "flag.literature_limit"),
        ("[flag]\nred_line_pg_ml = -1\n", "flag.red_line_pg_ml"),
        ('timezone = "Middle-earth/Shire"\n', "timezone"),
        ("[flag\n", "is not TOML"),
    ],
)
def test_a_mistake_is_told_with_its_name(tmp_path: Path, text: str, told: str):
    file = tmp_path / "e2.toml"
    file.write_text(text)

    with pytest.raises(ConfigurationError) as wrong:
        read_settings(file)

    assert told in str(wrong.value)


def test_a_variable_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("E2ANALYTICS_FIT", "garbage")

    with pytest.raises(ConfigurationError, match="E2ANALYTICS"):
        read_settings()


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(UnreadableError, match="no configuration file"):
        read_settings(Path("/nowhere/e2.toml"))
