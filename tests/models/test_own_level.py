import numpy as np
import pytest

from e2analytics.models.assay import Assays
from e2analytics.models.own_level import Common, Draws, blocks, find, integrate

SD_LEVEL, SD_READING = 0.4, 0.2
COMMON = Common(
    coefficients=np.array([np.log(30.0)]),
    logit_emax=1.4,
    log_ed50=-1.1,
    log_sd_level=np.log(SD_LEVEL),
    response_per_level=0.0,
    log_sd_response=np.log(0.2),
    assays=Assays(SD_READING, 1.0, 0.0, 0.2, 5.0),
)


@pytest.mark.parametrize("level_pg_ml", [6.0, 30.0, 150.0])
def test_a_man_far_from_the_others_has_the_posterior_of_his_draws(level_pg_ml):
    n = 12
    readings = np.full(n, level_pg_ml)
    draws = Draws(
        np.zeros(n, int), readings, readings, np.ones(n, bool), np.zeros(n), np.ones((n, 1)), 1
    )
    (block,) = blocks(draws)

    posterior = integrate(block, COMMON, find(block, COMMON)).posterior

    # Normal prior, normal readings: precisions add.
    precision = SD_LEVEL**-2 + n * SD_READING**-2
    mean = n * SD_READING**-2 * np.log(level_pg_ml / 30.0) / precision
    assert posterior.mean[0, 0] == pytest.approx(mean)
    assert posterior.covariance[0, 0, 0] == pytest.approx(1 / precision)
