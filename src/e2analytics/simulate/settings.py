"""Settings of a simulation, and the summary of what it wrote."""

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

Shape = Literal["u", "threshold", "rising", "flat", "two_sides", "bone_only"]
WorldName = Literal[
    "static",
    "drift",
    "testosterone_steps",
    "weight_loss",
    "lapses",
    "assay_change",
    "peak_or_trough",
]
WORLDS: tuple[WorldName, ...] = get_args(WorldName)
SHAPES: tuple[Shape, ...] = get_args(Shape)
SHAPES_WITH_OUTCOMES: tuple[Shape, ...] = ("two_sides", "bone_only")
"""Bone as in `threshold`, and symptoms by kind: of the first shape E2 moves them, of the second it does not."""


@dataclass(frozen=True)
class SimulationSettings:
    """A simulated cohort. The same settings give the same bytes.

    Parameters
    ----------
    patients : int
        Men on testosterone. Women and other defects come on top.
    shape : {"u", "threshold", "rising", "flat", "two_sides", "bone_only"}
        True curve of annual BMD change against E2. The last two have the bone of `threshold` and outcomes
        beyond it: under `two_sides` low and high E2 do harm, under `bone_only` bone alone depends on E2.
    seed : int
        Start of every random stream.
    clinics : int
        Clinics that the men are spread over.
    years : int
        Length of the record; earlier orders and starts of therapy are mentioned, earlier results are not.
    ends_on : date
        Last day of the record.
    on_drug_share : float
        Share of the men who are on anastrozole on `ends_on`, roughly, for a record of five years. An
        assumption, so that there is something to learn: practice reports 0.026-0.035 (1,200 of
        34,016 men nationally).
    effect_pct_per_year : float
        Loss at the spine at an E2 of 10 pg/mL or less against the plateau, %/year.
        2.5 is the net difference of the one-year trial (Burnett-Bowie 2009); 1.0 is a weak effect.
    defects : bool
        Plant the defects that `truth/defects.csv` answers for.
    world : str
        What moves men's E2 beside the drug; nothing in the `static` one.

    Raises
    ------
    ValueError
        If a number lies outside what the simulator can honour.
    """

    patients: int = 600
    shape: Shape = "threshold"
    seed: int = 20260930
    clinics: int = 4
    years: int = 5
    ends_on: date = date(2026, 9, 30)
    on_drug_share: float = 0.35
    effect_pct_per_year: float = 2.5
    defects: bool = True
    world: WorldName = "static"

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, naming the bound."""
        if self.shape not in SHAPES:
            raise ValueError(f"shape must be one of {', '.join(SHAPES)}; got {self.shape!r}")
        if self.world not in WORLDS:
            raise ValueError(f"world must be one of {', '.join(WORLDS)}; got {self.world!r}")
        bounds: dict[str, tuple[float, float]] = {
            "patients": (100, 900_000),
            "seed": (0, 2**63 - 1),
            "clinics": (1, 99),
            "years": (2, 20),
            "on_drug_share": (0.01, 0.7),
            "effect_pct_per_year": (0.0, 10.0),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie in {low:g}-{high:g}; got {getattr(self, name)}")

    @property
    def has_outcomes(self) -> bool:
        """Whether symptoms have a kind, and outcomes beyond bone a truth."""
        return self.shape in SHAPES_WITH_OUTCOMES

    @property
    def last_day(self) -> int:
        """Days from the first to the last day of the record; day 0 is the first."""
        return round(365.25 * self.years)

    @property
    def opens_on(self) -> date:
        """First day of the record."""
        return self.ends_on - timedelta(days=self.last_day)

    def as_json(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold; the static world goes without saying."""
        values = asdict(self) | {"ends_on": self.ends_on.isoformat()}
        if self.world == "static":
            del values["world"]
        return values


@dataclass(frozen=True)
class SimulationSummary:
    """What was written where.

    Attributes
    ----------
    drop, truth : Path
        The two folders.
    men, men_on_drug, men_attributable : int
        Simulated men; on anastrozole on the last day; of these with an E2 below 16 pg/mL that the drug explains.
    rows : dict of str to dict of str to int
        Expected rows per file of the drop and fate.
    """

    drop: Path
    truth: Path
    men: int
    men_on_drug: int
    men_attributable: int
    rows: dict[str, dict[str, int]]
