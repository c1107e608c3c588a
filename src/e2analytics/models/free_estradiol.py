"""Free estradiol by mass action: what neither SHBG nor albumin binds, with testosterone competing for SHBG.

In    total E2, total testosterone, SHBG and albumin of one sample each; association constants
Out   free E2 with a 95 % interval from the errors of the assays

Södergård et al., J Steroid Biochem 1982;16:801. Albumin is in such excess that its free part is all of it. One
unknown is left, the free SHBG P: what E2 and testosterone bind of it rises with P, so that P + bound = SHBG has
exactly one root between 0 and SHBG.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from scipy.optimize.elementwise import find_root

from e2analytics.models.normal import Z95
from e2analytics.models.pspline import Array

_E2_G_MOL: Final = 272.38
_TESTOSTERONE_G_MOL: Final = 288.42
_ALBUMIN_G_MOL: Final = 66_500.0
_STEP: Final = 1e-4
"""Of a log, for derivatives."""


@dataclass(frozen=True, slots=True)
class Constants:
    """Association constants at 37 degrees C, L/mol."""

    e2_shbg: float
    e2_albumin: float
    testosterone_shbg: float
    testosterone_albumin: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured, shape (n,) each."""

    e2_pg_ml: Array
    testosterone_ng_dl: Array
    shbg_nmol_l: Array
    albumin_g_dl: Array


@dataclass(frozen=True, slots=True)
class FreeEstradiol:
    """Free E2 in pg/mL with its 95 % interval, shape (n,) each."""

    pg_ml: Array
    ci_low: Array
    ci_high: Array


def free_e2(sample: Sample, constants: Constants) -> Array:
    """Return free E2 in pg/mL.

    Examples
    --------
    >>> one = Sample(*(np.array([x]) for x in (25.0, 520.0, 35.0, 4.3)))
    >>> float(free_e2(one, Constants(3.14e8, 4.21e4, 5.97e8, 4.06e4)).round(3)[0])
    0.675
    """
    e2 = sample.e2_pg_ml * 1e-9 / _E2_G_MOL
    testosterone = sample.testosterone_ng_dl * 1e-8 / _TESTOSTERONE_G_MOL
    shbg = sample.shbg_nmol_l * 1e-9
    albumin = sample.albumin_g_dl * 10 / _ALBUMIN_G_MOL
    # Unbound and on albumin, for each that is unbound.
    e2_off = 1 + constants.e2_albumin * albumin
    testosterone_off = 1 + constants.testosterone_albumin * albumin

    # Of a share of SHBG, so that the root is near 1 whatever the unit.
    bounds = np.zeros_like(shbg), np.ones_like(shbg)
    strength = constants.e2_shbg, constants.testosterone_shbg
    share = find_root(
        _too_much, bounds, args=(shbg, e2, testosterone, e2_off, testosterone_off, *strength)
    ).x
    free = e2 / (e2_off + constants.e2_shbg * share * shbg)
    return np.asarray(free * _E2_G_MOL * 1e9)


def _too_much(
    share: Array,
    shbg: Array,
    e2: Array,
    testosterone: Array,
    e2_off: Array,
    testosterone_off: Array,
    e2_shbg: Array,
    testosterone_shbg: Array,
) -> Array:
    """Return free and bound SHBG beyond all there is, as a share of it; the root finder passes what is left to solve."""
    free = share * shbg
    on_e2 = e2_shbg * e2 / (e2_off + e2_shbg * free)
    on_testosterone = (
        testosterone_shbg * testosterone / (testosterone_off + testosterone_shbg * free)
    )
    return np.asarray(share * (1 + on_e2 + on_testosterone) - 1)


def with_interval(sample: Sample, errors: Sample, constants: Constants) -> FreeEstradiol:
    """Return free E2 and the interval that the errors of the assays leave.

    Parameters
    ----------
    sample
        What was measured.
    errors
        The relative error (CV) of each, taken to be independent and small.
    constants
        Association constants.
    """
    free = free_e2(sample, constants)
    variance = np.zeros_like(free)
    for name in (field.name for field in fields(Sample)):
        moved = replace(sample, **{name: getattr(sample, name) * np.exp(_STEP)})
        slope = np.log(free_e2(moved, constants) / free) / _STEP
        variance += (slope * getattr(errors, name)) ** 2
    half = Z95 * np.sqrt(variance)
    return FreeEstradiol(free, free * np.exp(-half), free * np.exp(half))
