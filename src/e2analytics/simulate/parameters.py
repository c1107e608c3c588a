"""Every number of the simulated world, once, with its source.

A number without a source is marked *assumption*: it is chosen to make a plausible clinic, not
measured. Standard deviations on E2 and testosterone are on the natural log scale. Shares and rates
not explained otherwise are assumptions.
"""

from typing import Final, NamedTuple

DAYS_PER_YEAR: Final = 365.25

# --- Men ---------------------------------------------------------------------------------------
AGE_YEARS: Final = (52.0, 10.0)  # mean, SD; assumption
AGE_RANGE_YEARS: Final = (30.0, 75.0)
HEIGHT_CM: Final = (178.0, 7.0)  # assumption
BMI_KG_M2: Final = (29.0, 4.3)  # assumption: men on TRT are heavier than average
BMI_RANGE_KG_M2: Final = (19.0, 48.0)
BODY_FAT_PCT: Final = 28.0  # at the mean BMI; assumption
BODY_FAT_PCT_PER_BMI: Final = 0.8
BODY_FAT_SD_PCT: Final = 4.0
UNMEASURED_SHARE: Final = 0.02  # height or weight missing in the export
STARTED_BEFORE_RECORD_SHARE: Final = 0.7
STARTED_BEFORE_DAYS: Final = (30, 2190)
STARTS_BEFORE_END_DAYS: Final = 240
LEFT_SHARE: Final = 0.06
DIED_SHARE: Final = 0.01
STAYS_AT_LEAST_DAYS: Final = 200

# --- Testosterone and E2 without the drug ------------------------------------------------------
# AUA 2018 aims at 450-600 ng/dL; men of Punjani 2021 had a median of 616 ng/dL on therapy.
TESTOSTERONE_NG_DL: Final = 600.0
TESTOSTERONE_BETWEEN_SD: Final = 0.30  # assumption
TESTOSTERONE_WITHIN_SD: Final = 0.20  # assumption: injections swing
# Above untreated men's 25-30 (Leder 2004), below the 65 of men chosen for high E2 (Punjani 2021).
E2_OFF_DRUG_PG_ML: Final = 36.0  # assumption
E2_PER_LOG_TESTOSTERONE: Final = 0.5  # assumption; most male E2 is aromatised testosterone
E2_PER_BODY_FAT_PCT: Final = 0.015  # assumption; fat is a main site of aromatisation
E2_BETWEEN_SD: Final = 0.40  # assumption: beyond testosterone and fat
# With the swing of testosterone, one draw has an ICC near 0.8 (0.73 in postmenopausal women; men: none found).
E2_WITHIN_SD: Final = 0.20

# --- Anastrozole -------------------------------------------------------------------------------
# 0.5 mg three times a week: 65 to 22 pg/mL, -66 %, in men on TRT (Punjani, Sex Med 2021;9:100378). Part of
# that is regression to the mean of men chosen for high E2. Men not on TRT show -35 % (Leder, JCEM 2004;89:1174)
# and are not simulated.
EMAX: Final = 0.80  # assumption; 0.32 mg/week then gives -66 % at 1.5 mg/week
ED50_MG_PER_WEEK: Final = 0.32
RESPONSE_SD: Final = 0.22  # assumption: a man's own response, log scale
# 46.8 h in males (Mauras, JCEM 2009;94:2975): steady and washed out (99 %) after 14 days.
HALF_LIFE_DAYS: Final = 46.8 / 24
# Letrozole: 26.4 to 3.7 pg/mL, -86 %, at normal testosterone (n = 13), here at any dose.
LETROZOLE_SUPPRESSION: Final = 0.86
LETROZOLE_SHARE: Final = 0.02  # of users of an inhibitor
# Higher E2 off the drug makes a prescription more likely and its dose higher; assumption.
INDICATION_CORRELATION: Final = 0.7
DOSE_CORRELATION: Final = 0.5
STILL_ON_SHARE: Final = (
    0.75  # of users, on anastrozole after five years; follows from the spells below
)
ON_AT_ENTRY_SHARE: Final = 0.5  # of users who were on TRT before the record
SPELL_DAYS: Final = (2.0, 250.0)  # gamma shape and scale
SPELLS_AT_MOST: Final = 7
SPELL_AT_LEAST_DAYS: Final = 60
# A change goes up from an E2 above this, down from one below, in this share of changes; assumption.
TITRATION_PG_ML: Final = 25.0
TITRATION_SHARE: Final = 0.7
STOP_SHARE: Final = 0.25  # of spells that end, the others change the dose
RESTART_SHARE: Final = 0.6
PAUSE_DAYS: Final = (60, 240)
RENEWED_SHARE: Final = 0.85
RENEWAL_DAYS: Final = (270, 380)
SIG_ONLY_SHARE: Final = 0.15
AS_DIRECTED_SHARE: Final = 0.02
AS_DIRECTED: Final = "as directed"


class Regime(NamedTuple):
    """One way anastrozole is taken with TRT, and the share of first prescriptions that use it."""

    dose_mg: float
    doses_per_week: float
    sig: str
    share: float


# 0.25-1 mg, one to three times a week, is typical; starts of 1 mg daily are reported. Shares: assumption.
REGIMES: Final = (
    Regime(0.25, 1.0, "0.25 mg once weekly", 0.09),
    Regime(0.25, 2.0, "0.25 mg twice weekly", 0.19),
    Regime(0.5, 1.0, "0.5 mg once weekly", 0.14),
    Regime(0.5, 2.0, "0.5 mg twice weekly", 0.22),
    Regime(1.0, 1.0, "1 mg once weekly", 0.10),
    Regime(0.5, 3.0, "0.5 mg three times weekly", 0.09),
    Regime(0.5, 3.5, "0.5 mg every other day", 0.04),
    Regime(1.0, 2.0, "1 mg twice weekly", 0.07),
    Regime(1.0, 3.0, "1 mg three times weekly", 0.03),
    Regime(1.0, 7.0, "1 mg daily", 0.03),
)
RXNORM_INGREDIENT: Final = "84857"
RXNORM_TABLET_1_MG: Final = "199224"


class TestosteroneRegime(NamedTuple):
    """One way testosterone is prescribed; RxNorm codes as in the openFDA listing."""

    drug: str
    rxnorm: str
    dose_mg: float
    doses_per_week: float
    sig: str
    share: float


TESTOSTERONE_REGIMES: Final = (
    TestosteroneRegime("testosterone cypionate", "2047882", 100.0, 1.0, "100 mg IM weekly", 0.35),
    TestosteroneRegime(
        "testosterone cypionate", "835840", 60.0, 2.0, "60 mg SC twice weekly", 0.35
    ),
    TestosteroneRegime("testosterone enanthate", "835809", 100.0, 1.0, "100 mg IM weekly", 0.15),
    TestosteroneRegime("testosterone gel", "1597126", 40.5, 7.0, "40.5 mg daily", 0.15),
)

# --- Worlds in which E2 moves (`worlds`); all of it assumption -----------------------------------
DRIFT_SD: Final = 0.25
DRIFT_DAYS: Final = 270.0
STEP_SHARE: Final = 0.4  # of men, whose testosterone order changes once
STEP_SHARES: Final = {"up": 0.35, "down": 0.35, "stopped": 0.15, "pellets": 0.15}
STEP_FACTORS: Final = {"up": 1.5, "down": 0.5}  # of dose and testosterone
STEP_OWN_SD: Final = 0.10  # of E2, beyond what the average man's testosterone does
STEP_TAKES_DAYS: Final = 14
STOPPED_NG_DL: Final = 250.0
PELLETS: Final = ("testosterone pellets", 800.0)
PELLETS_EVERY_DAYS: Final = 150
PELLETS_HOLD_DAYS: Final = 75
PELLETS_WEAR_TO: Final = 0.45  # of testosterone, until the next
WEIGHT_LOSS_SHARE: Final = 0.3  # of men
WEIGHT_LOST: Final = (0.10, 0.25)
WEIGHT_LOSS_DAYS: Final = (270, 450)
E2_PER_BMI_LOST: Final = (
    0.05  # in one man: more than the difference between men of different weight
)
LAPSE_SHARE: Final = 0.3  # of spells of an inhibitor, in which it is not taken for a while
LAPSE_DAYS: Final = (30, 120)
ASSAY_CHANGES_AT: Final = (0.4, 0.7)  # of the record
PEAK_LOG_TESTOSTERONE: Final = 0.35  # above the middle; a trough lies as far below

# --- Laboratories ------------------------------------------------------------------------------
PMOL_L_PER_PG_ML: Final = 3.67134  # E2, 272.38 g/mol
NMOL_L_PER_NG_DL: Final = 0.0346717  # testosterone, 288.42 g/mol
MS_CV: Final = 0.06  # assumption
# Immunoassay reads too high and scatters at male levels (rank correlation with MS 0.53-0.76, Ohlsson 2013).
IA_SLOPE: Final = 1.08
IA_OFFSET_PG_ML: Final = 4.0
IA_CV: Final = 0.10
IA_SCATTER_PG_ML: Final = 5.0
TESTOSTERONE_CV: Final = 0.06
USUAL_LABORATORY_SHARE: Final = 0.9


class Laboratory(NamedTuple):
    """A laboratory's ways: its assay, limit of quantification, codes, names and units."""

    code: str
    is_ms: bool
    e2_loinc: str
    e2_name: str
    molar: bool
    loq_pg_ml: float
    loq_text: str
    method: str
    method_missing_share: float
    t_loinc: str
    t_name: str
    t_above_ng_dl: float


# LOINC: 2243-4 is method-less and often immunoassay; one with an LLOQ of 24 pg/mL carries it.
LABORATORIES: Final = (
    Laboratory("LAB-A", True, "35384-7", "Estradiol, sensitive", False, 2.0, "<2.0",
               "LC-MS/MS", 0.05, "49041-7", "Testosterone, total", 3000.0),
    Laboratory("LAB-B", True, "72873-3", "Estradiol, high sensitivity", True, 5.0, "<18.4",
               "LC/MS/MS", 0.10, "70239-9", "Testosterone, total", 3000.0),
    Laboratory("LAB-C", False, "2243-4", "Estradiol", False, 24.0, "<24",
               "ECLIA", 0.30, "2986-8", "Testosterone", 1500.0),
    Laboratory("LAB-D", False, "83096-8", "Estradiol, immunoassay", False, 15.0, "<15",
               "CMIA", 0.20, "2986-8", "Testosterone", 1500.0),
)  # fmt: skip
# One row per clinic, repeated when there are more: the share of its men whose usual laboratory is each.
LABORATORY_SHARES: Final = (
    (1.0, 0.0, 0.0, 0.0),
    (0.7, 0.0, 0.3, 0.0),
    (0.0, 1.0, 0.0, 0.0),
    (0.0, 0.5, 0.0, 0.5),
)
HAEMATOCRIT_SHARE: Final = 0.30  # of draws
HAEMATOCRIT_PCT: Final = (47.0, 3.0)
VITAMIN_D_SHARE: Final = 0.12
VITAMIN_D_NG_ML: Final = (33.0, 0.35)  # median, log SD

# --- Visits ------------------------------------------------------------------------------------
ROUTINE_DRAW_DAYS: Final = (90, 180)
AFTER_CHANGE_DAYS: Final = (42, 84)  # clinics recheck 6-12 weeks after a change
BEFORE_START_DAYS: Final = (3, 21)
MISSED_DRAW_SHARE: Final = 0.12
DRAWS_APART_DAYS: Final = 14
REPORTED_WITHIN_DAYS: Final = 4

# --- DXA ---------------------------------------------------------------------------------------
SITES: Final = ("lumbar_spine", "total_hip", "femoral_neck")
SITE_SCALE: Final = (
    1.0,
    0.7,
    0.8,
)  # of the effect; assumption (trial: spine significant, other sites same direction)
# Men's BMD on Hologic, g/cm2, at 25, 55 and 75 years, and the SD. Spine and hip: NHANES (US men); neck: assumption.
REFERENCE_AGES: Final = (25.0, 55.0, 75.0)
MALE_BMD_G_CM2: Final = ((1.057, 1.053, 1.068), (1.067, 1.015, 0.961), (0.930, 0.850, 0.800))
MALE_BMD_SD_G_CM2: Final = (0.143, 0.142, 0.130)
BMD_SITE_CORRELATION: Final = 0.6  # assumption
# T-score reference, young white women: NHANES III hip (0.942, 0.122) and neck (0.858, 0.120); NHANES spine.
T_REFERENCE_G_CM2: Final = ((1.065, 0.122), (0.942, 0.122), (0.858, 0.120))
T_REFERENCE_NAME: Final = (
    "NHANES white female",
    "NHANES III white female",
    "NHANES III white female",
)
# Lunar reads 12-16 % higher at the spine, about 6 % at the hip.
LUNAR_FACTOR: Final = (1.14, 1.06, 1.06)
MAKERS: Final = ("Hologic", "GE Lunar")
SCANNERS_PER_CLINIC: Final = 2
SCANNER_BIAS_SD: Final = 0.01
# Practice: spine 1.1-1.2, hip 1.3, neck 1.5-2.0 %; spread between scanners: assumption.
PRECISION_CV_PCT: Final = ((1.1, 1.4), (1.2, 1.5), (1.5, 1.8))
FIRST_DXA_WITHIN_DAYS: Final = 450
DXA_GAP_YEARS: Final = (0.9, 2.2)
MISSED_DXA_SHARE: Final = 0.12
NEVER_DXA_SHARE: Final = 0.08
SECOND_SCANNER_SHARE: Final = 0.15
CHANGES_SCANNER_SHARE: Final = 0.08
TOTAL_BODY_SHARE: Final = 0.3
TOTAL_BODY_BMD_G_CM2: Final = (1.18, 0.10)

# --- Bone change, %/year (100 x log ratio per year) --------------------------------------------
# SD of annual change about 2.5 % with measurement; this is the bone's own part.
INTERVAL_SD_PCT_PER_YEAR: Final = 1.5
BASE_PCT_PER_YEAR: Final = 0.3  # assumption: a man of the mean covariates on the plateau
PER_AGE_YEAR: Final = -0.02  # assumption, as are the next three
PER_BMI_UNIT: Final = 0.03
PER_LOG_TESTOSTERONE: Final = 0.3
PER_YEAR_ON_TRT: Final = -0.05

# --- True curve --------------------------------------------------------------------------------
LOW_END_PG_ML: Final = 10.0  # full loss at or below (Finkelstein 2016)
PLATEAU_PG_ML: Final = 20.0  # none at or above (Framingham and NHANES plateaus start at 18-40)
HIGH_BEND_PG_ML: Final = (
    45.0  # bone in shape `u` alone, hypothetical: no harm at high E2 is shown in men
)
HIGH_END_PG_ML: Final = 90.0
RISING_TOP_PG_ML: Final = 80.0  # shape `rising`: -effect at the low end, 0 here
CURVE_GRID_PG_ML: Final = (3.0, 150.0)
CURVE_GRID_POINTS: Final = 400
RANGE_LIMIT_PG_ML: Final = 16.0  # Mellstrom, JBMR 2008;23:1552
RED_LINE_PG_ML: Final = 10.0  # Finkelstein, J Clin Invest 2016;126:1114

# --- Events, per man over the record -----------------------------------------------------------
EVENT_SHARES: Final = {
    "symptom": 0.06,
    "fracture": 0.02,
    "dxa_refused": 0.02,
    "counselling": 0.30,
    "bone_plan": 0.02,
    "ai_review": 0.05,
}


class OutcomeRate(NamedTuple):
    """How often something happens to a man, by his E2; events per man-year.

    Attributes
    ----------
    name : str
        Kind of an event, or `detail` of a symptom.
    rate : float
        On the plateau.
    low, high : float
        What comes on top at the low end or below, and at the high end or above; linear in log E2 from the
        bend on that side.
    """

    name: str
    rate: float
    low: float
    high: float


# --- Outcomes beyond bone, in shapes that have them ----------------------------------------------
# Bends and ends are those of the true curve below. Directions: low E2 lowers libido in a trial (Finkelstein, N Engl
# J Med 2013;369:1011); the others, and all rates, are chosen for the simulation and say nothing of patients.
SYMPTOM_RATES: Final = (
    OutcomeRate("breast_tenderness", 0.04, 0.0, 0.36),
    OutcomeRate("gynaecomastia", 0.02, 0.0, 0.20),
    OutcomeRate("fluid_retention", 0.05, 0.0, 0.30),
    OutcomeRate("low_libido", 0.08, 0.50, 0.0),
    OutcomeRate("joint_pain", 0.08, 0.40, 0.0),
    OutcomeRate("hot_flush", 0.03, 0.30, 0.0),
    OutcomeRate("mood", 0.08, 0.40, 0.30),
)
FRACTURE_RATE: Final = OutcomeRate("fracture", 0.010, 0.012, 0.0)
# Testosterone alone moves it; chosen for the simulation.
HAEMATOCRIT_RATE: Final = OutcomeRate("haematocrit_above_54", 0.08, 0.0, 0.0)
HAEMATOCRIT_PER_LOG_TESTOSTERONE: Final = 2.0  # of the log rate; 1 is a rate in proportion
HAEMATOCRIT_RATE_AT_MOST: Final = 1.0
HAEMATOCRIT_LINE_PCT: Final = 54.0
HAEMATOCRIT_ABOVE_PCT: Final = (54.5, 58.0)  # of a result above the line
