"""Names of drugs and analytes, as the tables write them."""

from typing import Final

ANASTROZOLE: Final = "anastrozole"
ANDROGEN: Final = "androgen"
"""The drug class of testosterone."""
AROMATASE_INHIBITOR: Final = "aromatase_inhibitor"
"""A drug class, of which anastrozole is one."""

BODY_MASS_INDEX: Final = "body_mass_index"
ESTRADIOL: Final = "estradiol"
TESTOSTERONE: Final = "testosterone_total"
VITAMIN_D: Final = "vitamin_d_25oh"

BONE_DRUGS: Final = ("bisphosphonate", "denosumab")
"""Classes of drugs that are given for bone."""
