"""All that a clinic may choose, in one frozen object, read once at the edge.

The command line wins, then ``E2ANALYTICS_*`` variables (nested by ``__``), then ``e2analytics.toml``,
then the defaults, which cite :mod:`e2analytics.reference.constants`. The key is not a setting: it is read by
:mod:`e2analytics.key` alone and never stored.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from e2analytics import reference
from e2analytics.errors import ConfigurationError, UnreadableError
from e2analytics.reference import constants, measures

FittedSite = Literal["lumbar_spine", "total_hip", "femoral_neck"]
CurveSite = FittedSite | Literal["pooled"]
Site = FittedSite | Literal["one_third_radius", "total_body"]
SourceKind = Literal["performing_lab", "clinic", "feed"]
Month = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
DEFAULT_CONFIG = Path("e2analytics.toml")


class Section(BaseModel, frozen=True, extra="forbid"):
    """Base of the sections: unknown names are errors, so that a misspelling is not ignored."""


class CrossCalibration(Section):
    """A clinic's own equation from one of its scanners to another: the only way two are compared.

    BMD on ``to_scanner`` = ``slope`` x BMD on ``from_scanner`` + ``intercept_g_cm2``. It is used in this
    direction alone: the other way round, a regression is another equation.
    """

    clinic_id: str = Field(min_length=1, description="Two clinics may name their scanners alike.")
    from_scanner: str = Field(min_length=1, description="Its id as scans have it.")
    to_scanner: str = Field(min_length=1, description="Its id as scans have it.")
    site: Site = Field(description="Site that the equation holds for.")
    slope: float = Field(ge=0.5, le=2, description="Factor of the equation.")
    intercept_g_cm2: float = Field(ge=-0.5, le=0.5, description="Added by the equation, g/cm2.")
    cv_pct: float = Field(
        ge=0, le=10, description="Error of the equation itself, beside the scanners' precision, %."
    )
    source: str = Field(min_length=1, description="Study or service report it comes from.")
    entered_on: date = Field(description="Day of the decision.")

    @model_validator(mode="after")
    def _must_make_sense(self) -> CrossCalibration:
        if self.from_scanner == self.to_scanner:
            raise ValueError("from_scanner and to_scanner are the same")
        least = float(reference.load("sites")["sites"][self.site]["possible"][0])
        if self.slope * least + self.intercept_g_cm2 <= 0:
            raise ValueError("the equation turns a possible BMD into one that is not above 0")
        return self


class ShiftRelease(Section):
    """A clinic's word that a step in a scanner's readings is none: pairs across it are compared again."""

    clinic_id: str = Field(min_length=1, description="Two clinics may name their scanners alike.")
    scanner_id: str = Field(min_length=1, description="The scanner, as scans name it.")
    first_on: date = Field(description="First day on which the new readings may have begun.")
    last_on: date = Field(description="Last such day.")

    @model_validator(mode="after")
    def _must_be_in_order(self) -> ShiftRelease:
        if self.last_on < self.first_on:
            raise ValueError("last_on lies before first_on")
        return self


class LinkSettings(Section):
    """What makes a scan pair usable."""

    shortest_years: float = Field(0.5, gt=0, description="Between the two scans of a pair.")
    shortest_years_of_risk: float = Field(
        1.0, gt=0, description="Of pairs that the risk form uses."
    )
    longest_years: float = Field(5.0, gt=0, description="Between the two scans of a pair.")
    min_draws: int = Field(2, ge=1, description="E2 draws between the two scans.")
    carry_days: int = Field(
        int(constants.E2_CARRY_DAYS.value),
        gt=0,
        description="For which an E2 draw stands at the most.",
    )
    min_coverage: float = Field(
        0.5, ge=0, le=1, description="Share of the time between the scans for which E2 is known."
    )
    cross_calibrations: tuple[CrossCalibration, ...] = ()
    shifts_released: tuple[ShiftRelease, ...] = ()

    @field_validator("cross_calibrations")
    @classmethod
    def _one_equation_for_two_scanners(
        cls, equations: tuple[CrossCalibration, ...]
    ) -> tuple[CrossCalibration, ...]:
        between = Counter(
            (each.clinic_id, each.site, frozenset((each.from_scanner, each.to_scanner)))
            for each in equations
        )
        if any(number > 1 for number in between.values()):
            raise ValueError("two scanners of a clinic have more than one equation at a site")
        return equations


class FitSettings(Section):
    """How the curve is fitted."""

    primary_site: CurveSite = Field(
        "pooled",
        description="Site whose limit may be adopted, and that reports show first; `pooled` is all together.",
    )
    n_basis: int = Field(20, ge=6, le=40, description="Splines; 20 by simulation (models.smooth).")
    n_replicates: int = Field(1000, ge=100, description="Of the bootstrap of patients.")
    seed: int = Field(20_260_930, ge=0, description="Of the bootstrap: one seed, one result.")
    delta_pct_per_year: float = Field(
        constants.LOSS_THAT_MATTERS.value,
        gt=0,
        description="Difference from the best annual change that matters, %.",
    )
    delta_risk: float = Field(
        constants.RISK_THAT_MATTERS.value,
        gt=0,
        lt=1,
        description="Difference from the least risk that matters.",
    )
    delta_level_g_cm2: float = Field(
        constants.BMD_LEVEL_THAT_MATTERS.value,
        gt=0,
        description="Difference from the best BMD that matters.",
    )
    max_missing_covariate: float = Field(
        0.2, ge=0, le=1, description="Share without it from which a covariate is left out."
    )


class FlagSettings(Section):
    """When a man is worth a clinician's look."""

    literature_limit_pg_ml: float = Field(
        constants.DEFAULT_LOWER_LIMIT_E2.value,
        gt=0,
        description="Limit in use until a fitted one is adopted.",
    )
    red_line_pg_ml: float = Field(
        constants.RED_LINE_E2.value, gt=0, description="E2 below it is critical."
    )
    least_limit_pg_ml: float = Field(
        constants.LOWEST_PLAUSIBLE_LIMIT_E2.value,
        gt=0,
        description="A lower fitted limit is not proposed.",
    )
    greatest_limit_pg_ml: float = Field(
        constants.HIGHEST_PLAUSIBLE_LIMIT_E2.value,
        gt=0,
        description="A higher fitted limit is not proposed.",
    )
    max_limit_interval_ratio: float = Field(
        1.6,
        gt=1,
        description="Of the ends of its 95 % interval: a wider fitted limit is not proposed.",
    )
    probability: float = Field(0.5, gt=0, lt=1, description="Of being below, that makes a status.")
    closing_probability: float = Field(
        0.4, gt=0, lt=1, description="Below it an open flag closes: noise does not flip a flag."
    )
    max_e2_interval_ratio: float = Field(
        4.0, gt=1, description="Of the ends of the 95 % interval of E2 now: wider says too little."
    )
    change_probability: float = Field(
        0.5,
        ge=0.5,
        lt=1,
        description="Of a change of E2 by more than a quarter in 12 months: said.",
    )
    deep_below_share: float = Field(0.8, gt=0, le=1, description="Of the limit: far below it.")
    long_below_days: int = Field(365, gt=0, description="Results below the limit for long.")
    informative_days: int = Field(
        int(constants.E2_CARRY_DAYS.value),
        gt=0,
        description="An older last E2 result is a reason and a gap.",
    )
    steady_state_days: int = Field(
        int(constants.STEADY_STATE_DAYS.value),
        ge=0,
        description="From a change of dose until E2 has settled.",
    )
    washout_days: int = Field(
        int(constants.WASHOUT_DAYS.value),
        ge=0,
        description="From the end of the drug until it is washed out.",
    )
    old_order_days: int = Field(
        int(constants.OLD_ORDER_DAYS.value),
        gt=0,
        description="An older order without renewal is a reason.",
    )
    old_scan_years: float = Field(
        constants.OLD_SCAN_YEARS.value,
        gt=0,
        description="An older scan supports no flag; it is a gap.",
    )
    stale_feed_days: int = Field(60, gt=0, description="Without any laboratory result of a clinic.")

    @model_validator(mode="after")
    def _must_close_below_where_it_opens(self) -> FlagSettings:
        if self.closing_probability > self.probability:
            raise ValueError("closing_probability is above probability: it would close at once")
        return self


class SlipDecision(Section):
    """What to do with the results of one source, one analyte and some months.

    It names the source as the evidence does, and the two units. The factor follows from the reference
    tables and is never typed.
    """

    source_kind: SourceKind = Field(description="As `export unit_slips` has it.")
    source: str = Field(description="As `export unit_slips` has it.")
    analyte: str = Field(description="Name in schemas/reference/analytes.yaml.")
    months: tuple[Month, ...] | Literal["all"] = Field(description="Months, YYYY-MM.")
    action: Literal["release", "convert"] = Field(
        description="The results are right as they are, or are in another unit."
    )
    declared: str | None = Field(None, description="Of `convert`: the unit that was written.")
    really: str | None = Field(None, description="Of `convert`: the unit that was meant.")

    @model_validator(mode="after")
    def _names_its_units(self) -> SlipDecision:
        known = reference.unit_factors(self.analyte)
        if not known:
            raise ValueError("the analyte is not in schemas/reference/analytes.yaml")
        if self.action == "release":
            if self.declared is not None or self.really is not None:
                raise ValueError("declared and really belong to `convert` alone")
            return self
        if self.declared not in known or self.really not in known:
            raise ValueError(f"declared and really must be two of: {', '.join(known)}")
        return self

    @property
    def factor(self) -> float:
        """Factor from the declared unit to the real one; 1 for a release."""
        if self.declared is None or self.really is None:
            return 1.0
        known = reference.unit_factors(self.analyte)
        return known[self.really] / known[self.declared]


class SlipSettings(Section):
    """When a unit mix-up is held to be real, and the clinic's decisions about those found."""

    slips_per_1000_source_months: float = Field(
        5.0, gt=0, lt=100, description="Mix-ups of units that are expected beforehand."
    )
    least_odds: float = Field(10.0, ge=1, description="That it is real, to be quarantined.")
    decisions: tuple[SlipDecision, ...] = ()


class Rebase(Section):
    """A new baseline of a measure's months: a decision, dated and with its reason."""

    measure: str = Field(description="Name in schemas/reference/measures.yaml.")
    clinic_id: str | None = Field(
        None, description="One clinic's chart; none: that of all clinics."
    )
    from_month: Month = Field(description="First month of the new baseline.")
    entered_on: date = Field(description="Day of the decision.")
    reason: str = Field(min_length=1, description="What changed for good, and who decided.")

    @field_validator("measure")
    @classmethod
    def _must_be_a_measure(cls, name: str) -> str:
        if name not in measures.load().measures:
            raise ValueError(f"no measure; there are {', '.join(measures.load().measures)}")
        return name


class MeasureSettings(Section):
    """How the quality measures are charted."""

    rebased: tuple[Rebase, ...] = ()

    @field_validator("rebased")
    @classmethod
    def _once_a_month(cls, entries: tuple[Rebase, ...]) -> tuple[Rebase, ...]:
        starts = Counter((each.measure, each.clinic_id, each.from_month) for each in entries)
        if any(number > 1 for number in starts.values()):
            raise ValueError("a measure's chart begins anew twice in the same month")
        return entries


class ReportSettings(Section):
    """Disclosure and notification."""

    round_to: int = Field(5, ge=5, le=100, description="Base of the counts in outside versions.")
    notify_block: str | None = Field(
        None, min_length=1, description="Prefect notification block, such as slack-webhook/quality."
    )


class Settings(BaseSettings):
    """All configuration. Keywords win over the environment, that over the file, that over defaults."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="E2ANALYTICS_", env_nested_delimiter="__"
    )

    timezone: str = Field(
        "UTC",
        description="Of times that a file gives without an offset, and of the days of times in UTC.",
    )
    feeds_folder: Path | None = Field(None, description="More feed descriptions, *.yaml.")
    side_files: tuple[str, ...] = Field(
        (),
        description="Patterns of names, such as cover-letter*.pdf, of files in drops that are no data.",
    )
    identities_settled: tuple[str, ...] = Field(
        (),
        description="Pseudonyms of patients with two dates of birth, sexes or authorities whose newest row is right.",
    )
    link: LinkSettings = LinkSettings()
    fit: FitSettings = FitSettings()
    flag: FlagSettings = FlagSettings()
    slips: SlipSettings = SlipSettings()
    measures: MeasureSettings = MeasureSettings()
    report: ReportSettings = ReportSettings()

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
