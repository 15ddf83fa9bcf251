"""Probabilities of counts, for tests that accept or reject a pattern in random data."""

from math import erfc, sqrt


def upper(z: float) -> float:
    """The probability that a standard normal variable is greater."""
    return erfc(z / sqrt(2)) / 2


def more(often: float, seldom: float, times: float = 1) -> float:
    """The p-value of two counts if the first were not more than `times` as frequent as the second."""
    return upper((often - times * seldom) / sqrt(often + times * times * seldom))
