"""Clinical and physical numbers: each once, with its unit, its source and how sure we are of it.

``confidence`` is ``high``, ``medium`` or ``low``; ``unconfirmed`` marks a number from general knowledge that
has not been checked against its source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Confidence = Literal["high", "medium", "low", "unconfirmed"]


@dataclass(frozen=True, slots=True)
class Cited:
    """A number with its unit and where it comes from."""

    value: float
    unit: str
    source: str
    confidence: Confidence


RED_LINE_E2: Final = Cited(
    10.0, "pg/mL", "Finkelstein et al., J Clin Invest 2016;126:1114 (mass spectrometry)", "high"
)
DEFAULT_LOWER_LIMIT_E2: Final = Cited(
    16.0, "pg/mL", "Mellström et al., J Bone Miner Res 2008;23:1552 (GC-MS, fractures)", "high"
)
LOWEST_PLAUSIBLE_LIMIT_E2: Final = Cited(
    10.0, "pg/mL", "the red line: a limit below it would not protect", "medium"
)
HIGHEST_PLAUSIBLE_LIMIT_E2: Final = Cited(
    30.0, "pg/mL", "plateau of E2 and bone in men, 20-40 pg/mL (Framingham, NHANES)", "medium"
)

STEADY_STATE_DAYS: Final = Cited(
    14.0,
    "days",
    "anastrozole label: full suppression after 14 days; half-life 47 h in males",
    "medium",
)
WASHOUT_DAYS: Final = Cited(
    14.0, "days", "five half-lives are 10 days, recovery of E2 lags", "medium"
)
E2_STEP_DAYS: Final = Cited(
    14.0,
    "days",
    "Our own rule: E2 is carried forward from a man's last draw in steps of so many days, so that a night without "
    "news changes few men; a movement with a time constant of 270 days loses 5 % of itself in one",
    "low",
)
RENEWAL_GAP_DAYS: Final = Cited(
    6.0, "days", "anastrozole label: suppression holds up to 6 days after stopping", "high"
)
E2_CARRY_DAYS: Final = Cited(180.0, "days", "our own rule: how long one E2 result counts", "low")
DAYS_AT_RISK: Final = Cited(
    91.0,
    "days",
    "our own rule: the longest piece of a man's time at risk, in which his hazard counts as constant",
    "low",
)
CHANGE_OF_E2: Final = Cited(
    0.25, "1", "our own rule: a fall or rise of E2 by more than a quarter is told", "low"
)
OLD_ORDER_DAYS: Final = Cited(
    400.0, "days", "our own rule: a yearly renewal with a month's grace", "low"
)

OLD_SCAN_YEARS: Final = Cited(
    5.0, "years", "our own rule: the longest interval of two scans that are compared, too", "low"
)
ADULT_FROM_YEARS: Final = Cited(
    18.0, "years", "our own rule: in boys an aromatase inhibitor is given for growth", "high"
)

E2_SHBG: Final = Cited(
    3.14e8,
    "L/mol",
    "Södergård et al., J Steroid Biochem 1982;16:801, at 37 degrees C (number by a secondary page)",
    "medium",
)
E2_ALBUMIN: Final = Cited(
    4.21e4,
    "L/mol",
    "Södergård et al., J Steroid Biochem 1982;16:801, at 37 degrees C (number by a secondary page)",
    "medium",
)
TESTOSTERONE_SHBG: Final = Cited(
    5.97e8,
    "L/mol",
    "Södergård et al., J Steroid Biochem 1982;16:801, at 37 degrees C (number from memory)",
    "unconfirmed",
)
TESTOSTERONE_ALBUMIN: Final = Cited(
    4.06e4,
    "L/mol",
    "Södergård et al., J Steroid Biochem 1982;16:801, at 37 degrees C (number by a secondary page)",
    "medium",
)
FREE_E2_LINE: Final = Cited(
    0.27, "pg/mL", "Mellström et al., J Bone Miner Res 2008;23:1552 (free E2, fractures)", "high"
)
E2_SHBG_OF_LINE: Final = Cited(
    6.8e8,
    "L/mol",
    "as the calculation behind the line of free E2 took it (Vermeulen, J Clin Endocrinol Metab 1999;84:3666; van den Beld 2000): with it 16 pg/mL is 0.25 free at SHBG 45 nmol/L, with Södergård's 0.40; from memory",
    "unconfirmed",
)
E2_ALBUMIN_OF_LINE: Final = Cited(
    6e4,
    "L/mol",
    "as the calculation behind the line of free E2 took it (Vermeulen, J Clin Endocrinol Metab 1999;84:3666; van den Beld 2000); from memory",
    "unconfirmed",
)
TESTOSTERONE_SHBG_OF_LINE: Final = Cited(
    1e9,
    "L/mol",
    "Vermeulen, J Clin Endocrinol Metab 1999;84:3666 (number by a secondary page)",
    "medium",
)
TESTOSTERONE_ALBUMIN_OF_LINE: Final = Cited(
    3.6e4,
    "L/mol",
    "Vermeulen, J Clin Endocrinol Metab 1999;84:3666 (number by a secondary page)",
    "medium",
)
USUAL_ALBUMIN: Final = Cited(
    4.3, "g/dL", "the fixed number that calculations of free steroids use (43 g/L)", "medium"
)
E2_MS_CV: Final = Cited(
    0.08,
    "1",
    "error of E2 by mass spectrometry between runs at 10-40 pg/mL, from general knowledge",
    "unconfirmed",
)
TESTOSTERONE_CV: Final = Cited(
    0.07, "1", "error of an assay, from general knowledge", "unconfirmed"
)
SHBG_CV: Final = Cited(
    0.074,
    "1",
    "within men, Guldhaug et al. (abstract); the assay's own is about as large",
    "medium",
)
ALBUMIN_CV: Final = Cited(0.03, "1", "error of an assay, from general knowledge", "unconfirmed")
ALBUMIN_BETWEEN_MEN_CV: Final = Cited(
    0.08, "1", "between men, where his own was not measured; from general knowledge", "unconfirmed"
)

LSC_FACTOR: Final = Cited(
    2.77, "1", "ISCD: 1.96 x sqrt(2), least significant change at 95 %", "high"
)
LOSS_THAT_MATTERS: Final = Cited(
    0.5, "%/year", "our own rule (delta): a mean difference worth acting on", "low"
)
RISK_THAT_MATTERS: Final = Cited(
    0.05,
    "1",
    "our own rule (delta): one more man in twenty with a measured loss in two years",
    "low",
)
BMD_LEVEL_THAT_MATTERS: Final = Cited(
    0.03, "g/cm2", "our own rule: about a quarter of a young-adult SD of the femoral neck", "low"
)

BODY_FAT_PER_BMI: Final = Cited(
    1.2,
    "percentage points per kg/m2",
    "Deurenberg et al., Br J Nutr 1991;65:105 (adults: 1.20 BMI + 0.23 age - 10.8 in men - 5.4)",
    "medium",
)
BODY_FAT_CHANGE: Final = Cited(
    5.0, "percentage points", "our own rule: a smaller change on one scanner is its noise", "low"
)

DAYS_PER_YEAR: Final = 365.25
