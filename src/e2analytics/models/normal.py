"""Quantiles of the standard normal distribution."""

from typing import Final

Z95: Final = 1.959963984540054
"""Half the width of a two-sided 95 % interval, in standard deviations."""
