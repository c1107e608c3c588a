"""Names of drugs and analytes, as the tables write them."""

from typing import Final

ANASTROZOLE: Final = "anastrozole"
ANDROGEN: Final = "androgen"
"""The drug class of testosterone."""
TESTOSTERONE_DRUG: Final = "testosterone"
"""How the names of its drugs begin, alone or with another drug in one implant."""
AROMATASE_INHIBITOR: Final = "aromatase_inhibitor"
"""A drug class, of which anastrozole is one."""

BODY_MASS_INDEX: Final = "body_mass_index"
ESTRADIOL: Final = "estradiol"
HEMATOCRIT: Final = "hematocrit"
PSA: Final = "psa"
TESTOSTERONE: Final = "testosterone_total"
VITAMIN_D: Final = "vitamin_d_25oh"

BONE_DRUGS: Final = ("bisphosphonate", "denosumab", "bone_anabolic")
"""Classes of drugs that are given for bone."""
GLUCOCORTICOID: Final = "on_glucocorticoid"
GLUCOCORTICOID_UNKNOWN: Final = "glucocorticoid_dose_unknown"
ON_BONE_DRUG: Final = (
    *(f"on_{name}" for name in BONE_DRUGS),
    *(f"on_{name}" for name in ("gnrh", "antiandrogen")),
    GLUCOCORTICOID,
    GLUCOCORTICOID_UNKNOWN,
)
"""Why a scan pair that is usable otherwise is not: a drug moved bone between the scans."""
