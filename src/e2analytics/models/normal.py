"""Quantiles of the standard normal distribution."""

from typing import Final

Z95: Final = 1.959963984540054
"""Half the width of a two-sided 95 % interval, in standard deviations."""
Z99: Final = 2.5758293035489004
"""The same of a 99 % interval."""
