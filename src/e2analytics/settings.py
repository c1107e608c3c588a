"""All that a clinic may choose, in one frozen object, read once at the edge.

The command line wins, then ``E2ANALYTICS_*`` variables (nested by ``__``), then ``e2analytics.toml``,
then the defaults, which cite :mod:`e2analytics.clinical`. The key is not a setting: it is read by
:mod:`e2analytics.pseudonyms` alone and never stored.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from e2analytics import clinical
from e2analytics.errors import ConfigurationError, UnreadableError

FittedSite = Literal["lumbar_spine", "total_hip", "femoral_neck"]
DEFAULT_CONFIG = Path("e2analytics.toml")


class Section(BaseModel, frozen=True, extra="forbid"):
    """Base of the sections: unknown names are errors, so that a misspelling is not ignored."""


class LinkSettings(Section):
    """What makes a scan pair usable."""

    shortest_years: float = Field(0.5, gt=0)
    longest_years: float = Field(5.0, gt=0)
    min_draws: int = Field(2, ge=1)
    carry_days: int = Field(int(clinical.E2_CARRY_DAYS.value), gt=0)
    min_coverage: float = Field(0.5, ge=0, le=1)


class FitSettings(Section):
    """How the curve is fitted."""

    primary_site: FittedSite = "lumbar_spine"
    n_basis: int = Field(12, ge=6, le=40)
    n_replicates: int = Field(1000, ge=100)
    seed: int = Field(20_260_930, ge=0)
    delta_pct_per_year: float = Field(clinical.LOSS_THAT_MATTERS.value, gt=0)
    delta_level_g_cm2: float = Field(clinical.BMD_LEVEL_THAT_MATTERS.value, gt=0)
    max_missing_covariate: float = Field(0.2, ge=0, le=1)


class FlagSettings(Section):
    """When a man is worth a clinician's look."""

    literature_limit_pg_ml: float = Field(clinical.DEFAULT_LOWER_LIMIT_E2.value, gt=0)
    red_line_pg_ml: float = Field(clinical.RED_LINE_E2.value, gt=0)
    least_limit_pg_ml: float = Field(clinical.LOWEST_PLAUSIBLE_LIMIT_E2.value, gt=0)
    greatest_limit_pg_ml: float = Field(clinical.HIGHEST_PLAUSIBLE_LIMIT_E2.value, gt=0)
    probability: float = Field(0.5, gt=0, lt=1, description="Of being below, that makes a status.")
    informative_days: int = Field(int(clinical.E2_CARRY_DAYS.value), gt=0)
    steady_state_days: int = Field(int(clinical.STEADY_STATE_DAYS.value), ge=0)
    washout_days: int = Field(int(clinical.WASHOUT_DAYS.value), ge=0)
    old_order_days: int = Field(int(clinical.OLD_ORDER_DAYS.value), gt=0)


class Settings(BaseSettings):
    """All configuration. Keywords win over the environment, that over the file, that over defaults."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="E2ANALYTICS_", env_nested_delimiter="__"
    )

    timezone: str = Field("UTC", description="Of times that a file gives without an offset.")
    feeds_folder: Path | None = Field(None, description="More feed descriptions, *.yaml.")
    link: LinkSettings = LinkSettings()
    fit: FitSettings = FitSettings()
    flag: FlagSettings = FlagSettings()

    @field_validator("timezone")
    @classmethod
    def _must_be_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(
                "not a time zone of the IANA database, such as Europe/Berlin"
            ) from None
        return name

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Say where settings come from, strongest first."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def read_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Return the settings in force.

    Parameters
    ----------
    config
        A TOML file; by default ``e2analytics.toml`` of the working directory, if there is one.
    **overrides
        What the command line was given.

    Raises
    ------
    ConfigurationError
        If a name is unknown or a value is out of its range.
    UnreadableError
        If ``config`` was named and cannot be read.
    """
    file = config or DEFAULT_CONFIG
    if config is not None and not config.is_file():
        raise UnreadableError(f"There is no configuration file {config}.")

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        return FromFile(**overrides)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not TOML: {error}.") from None
    except SettingsError as error:
        raise ConfigurationError(f"A variable E2ANALYTICS_* cannot be read: {error}.") from None
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors()
        )
        origin = f"{file} or a variable {Settings.model_config['env_prefix']}*"
        raise ConfigurationError(f"The configuration is wrong ({origin}):\n{problems}") from None


def quiet_prefect() -> None:
    """Keep Prefect from reporting usage to its makers; before it is imported."""
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
