"""What the report says whatever the data: the legend, the method, its limits and its sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from e2analytics.reference.constants import E2_STEP_DAYS, LSC_FACTOR
from e2analytics.settings import FitSettings, FlagSettings, LinkSettings, MeasureSettings

INTERNAL: Final = "Internal: contains rows about patients; do not send."
EXTERNAL: Final = "No row here is about one patient; counts of 1 to 10 are hidden."
INTENDED_USE: Final = (
    "Decision support for clinicians, not a medical device. It says “review”, never what to "
    "prescribe, and is not for patients."
)
SIMULATED: Final = (
    "Simulated patients: no row here describes a person. About a third of the men take anastrozole, by "
    "assumption, as in a specialised clinic (in practice about 3 %), so that a small sample is informative."
)
SURROGATE: Final = (
    "BMD is a surrogate for fracture. In the TRAVERSE trial (Snyder 2024, 5,204 men, 3.2 years) "
    "men on testosterone had more clinical fractures than men on placebo (3.50 against 2.46 %; hazard "
    "ratio 1.43, 95 % 1.04 to 1.97), although BMD rises on testosterone. A better BMD here is not a "
    "fracture prevented."
)
MEASURES: Final = (
    "Each share is met / eligible, with its 95 % interval. A unit counts in the month in which its answer "
    "was due. A chart of months signals (diamond) by four rules: a month outside "
    "the limits; seven or more in a row on one side of the mean; seven or more that each rise or each fall; "
    "two of three near a limit. A clinic signals beyond the 99.8 % limit of its funnel. A signal asks for a "
    "look at why; it is not a verdict on a person. Earlier months are restated with what is known today, so "
    "that they may differ from what was first reported."
)
OTHERS_HIDDEN: Final = (
    "The share of all clinics is not shown where too few men elsewhere met the measure or did not: their "
    "counts could be had by subtraction."
)
LEGEND: Final = (
    ("Man", "his pseudonym. The file and line under “Rests on” lead to his rows in the clinic's own files."),
    ("Tier", "■ Critical: E2 is probably below the red line, or a result by mass spectrometry lies below it. ▲ High: a fracture on the drug, osteoporosis, or bone loss at two sites or twice, with no bone plan since; below the limit because of the drug; below the red line by immunoassay alone; two results below the limit against the estimate; or perhaps low, and far or long below or with bone that shows it. ● Watch: probably low, but not by the drug, or not assessable today; the last two results by mass spectrometry below the limit; or such bone with a plan, or bone loss beyond the LSC at one site."),
    ("Status", "what the model concludes, whatever the tier. Below range by the drug: E2 is probably below the limit, and would not be without the drug. Low, not by the drug: probably below the limit, the drug not shown to be why."),
    ("Dose", "anastrozole in force on the as-of date, mg per week."),
    ("Last E2", "as reported (<5.0 is below detection), with assay (MS mass spectrometry, IA immunoassay, IA? unknown, read as IA) and date."),
    ("E2 now", "the man's own level at his present dose, with its 95 % interval: an estimate, not the next laboratory value."),
    ("Off drug", "the same, were he not on the drug. No estimate is shown for men on another aromatase inhibitor."),
    ("Chance", "in per cent, that his E2 is below the limit in use; that it is so because of the drug; that it is below the red line."),
    ("BMD", "the site of spine, hip and femoral neck where bone changed worst: its change in % per year, and whether the loss exceeds the least significant change (LSC); below, his lowest T- and Z-score."),
    ("Flag", "new, open or reopened, and since when; whether it was reviewed. It closes at a lower probability than it opens."),
    ("Missing", "what is open in his care, and when it was due."),
    ("Context", "his other findings: descriptive, without a cut-off of their own: no T/E2 is known that bone needs."),
    ("Expected E2", "what the model expects at common weekly doses, with 95 % intervals: information for a clinician, never an order."),
)  # fmt: skip
LAST_RESULTS: Final = "three"
CAVEATS: Final = (
    "Men were not randomised: who gets anastrozole had high E2, more fat or symptoms to begin with (confounding by indication), and part of any fall in E2 is regression to the mean.",
    "No harm of high E2 to bone has been shown in men; nor is it shown to be safe. U shapes are described for other outcomes, mostly by immunoassay.",
    "Low E2 is watched as it can be changed: beside FRAX with BMD it adds no useful prediction of fracture (Orwoll 2017).",
    "Total E2 is judged. Immunoassay cannot see the danger zone near the red line: repeat by mass spectrometry before acting.",
    "BMD of different makers' scanners is never compared; T-scores are shown as the scanner reported them.",
    "A dose counts as taken because it was ordered. Where orders are not taken, the chances here are too sure; where E2 is known by immunoassay alone, they rest on what was believed of that assay beforehand, and are too timid (docs/validation.md).",
    "Anastrozole for men is off-label.",
)  # fmt: skip
SOURCES: Final = (
    "Finkelstein et al. J Clin Invest 2016;126:1114. Randomised; E2 below 10 pg/mL raises bone resorption: the red line.",
    "Mellström et al. J Bone Miner Res 2008;23:1552. MrOS Sweden, GC-MS; fracture risk bends at 16 pg/mL: the default limit.",
    "Burnett-Bowie et al. J Clin Endocrinol Metab 2009;94:4785. One year at 1 mg a day: spine BMD −1.7 against +0.8 %.",
    "Amin et al. Am J Med 2006;119:426. Framingham; hip fractures by E2: a plateau above the lowest third.",
    "Snyder et al. N Engl J Med 2024;390:203. TRAVERSE; fractures on testosterone, hazard ratio 1.43.",
    "Ohlsson et al. J Clin Endocrinol Metab 2013;98:E1097. Immunoassay against mass spectrometry, and C-reactive protein.",
    "Orwoll et al. J Bone Miner Res 2017;32:633. MrOS, 5,487 participants; E2 adds no useful prediction to FRAX with BMD.",
    "ISCD official positions (2023): least significant change, scores of men, serial scans. Its least acceptable precision (1.9, 1.8, 2.5 %) was not checked.",
    "Simonsohn. Adv Methods Pract Psychol Sci 2018;1:538. Two lines: why a quadratic term is no evidence of a U.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that the run was made with, as far as the method depends on them."""

    link: LinkSettings
    fit: FitSettings
    flag: FlagSettings
    measures: MeasureSettings

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read them from the manifest; what it does not name is at its default."""
        return cls(
            LinkSettings(**settings.get("link", {})),
            FitSettings(**settings.get("fit", {})),
            FlagSettings(**settings.get("flag", {})),
            MeasureSettings(**settings.get("measures", {})),
        )


def methods(rules: Rules) -> tuple[str, ...]:
    """Describe the method with the numbers that were in force."""
    link, fit, flag = rules.link, rules.fit, rules.flag
    return (
        f"E2 of each man. Log E2 = testosterone, body mass index, age and whether he was ever given the drug + the man's own level + the average effect of his weekly dose (Emax model) + his own response to the drug + the error of the assay. His level may move slowly; it is carried forward from his last result, or the last change of his testosterone, in steps of {E2_STEP_DAYS.value:g} days. Own levels and responses are normal over men, so that a man with few results is drawn towards men like him; results below a laboratory's limit count as the interval that they are. Immunoassay is read as constant + slope × E2 with two errors, one of which stays at the low end; an unknown assay counts as immunoassay. A result that fits neither the man's others nor other men (beyond 4 SD, and not his last) is set aside. What fits the model are results of men of 18 and over, not under another drug that changes E2 or its assay; each man's own estimate has all of his. Every estimate is an equivalent of mass spectrometry. A dose counts {flag.steady_state_days} days after a change and until {flag.washout_days} days after its end; a man without an E2 for {flag.informative_days} days is named; an order is old after {flag.old_order_days} days.",
        f"Status. Below range by the drug: the chance that E2 is below the limit and would not be off the drug is at least {100 * flag.probability:g} %. Low, not by the drug: the chance of being below the limit is at least {100 * flag.probability:g} %, whatever the cause. The limit's own uncertainty is in these chances. Not assessable: the dose is unknown or has just changed, he takes another inhibitor, or the ends of the 95 % interval of E2 now are further apart than a ratio of {flag.max_e2_interval_ratio:g}. The red line is {flag.red_line_pg_ml:g} pg/mL. Without a model: the last two results by mass spectrometry at the present dose below the limit are watched at least; one below the red line is critical until a later one overrules it.",
        f"The curve. Annual change of BMD of two successive scans of a man, same site and scanner, {link.shortest_years:g} to {link.longest_years:g} years apart, against his E2 between them (at least {link.min_draws} results that cover {100 * link.min_coverage:g} % of the time): a penalised spline in log E2, adjusted for covariates chosen beforehand. Pairs that a drug for bone, a GnRH drug, an antiandrogen or a glucocorticoid acted on, and pairs of boys, are left out. Intervals are clustered by man and corrected for few men; those of limits come from resampling men, not scans, {fit.n_replicates:,} times. The darker band holds at one E2 at a time, the paler one along the whole curve. Where fewer than 30 men are near an E2, or outside the middle 95 % of E2, nothing is claimed. The risk of a measured loss is the chance that two scans two years apart differ by the least significant change or more, from pairs {link.shortest_years_of_risk:g} to {link.longest_years:g} years apart (complementary log-log, same spline). All sites together: one curve with a term for each site; each man counts once.",
        f"First events. The chance that a man's first symptom of a kind, fracture or haematocrit above 54 % comes within a year, from the time after each E2 result for which it stands ({link.carry_days:g} days at most), until his first event, departure or death; his E2 is what was known when that time began. Upper limits and verdicts of these outcomes are corrected for their number (Holm); a difference of {100 * fit.delta_risk:g} in 100 men counts. A symptom is one that was recorded: a clinic that asks some men more often finds more.",
        f"The verdict is earned by tests of harm on each side; U-shaped needs both, and is never read off a quadratic term. The fitted limit is the lowest E2 above which the curve stays within {fit.delta_pct_per_year:g} % per year of its best. It is proposed where it is supported, lies between {flag.least_limit_pg_ml:g} and {flag.greatest_limit_pg_ml:g} pg/mL, has a 95 % interval of a ratio of at most {flag.max_limit_interval_ratio:g} and is not contradicted by a site; it is taken into use by a decision only (the command “limits adopt”). Until then the limit is {flag.literature_limit_pg_ml:g} pg/mL.",
        f"Least significant change (LSC): {LSC_FACTOR.value:g} × the precision of the clinic's scanner, else of ISCD's least acceptable one; it compares the total change between two scans. One man's scan after a year can seldom show the average effect of anastrozole.",
    )  # fmt: skip
