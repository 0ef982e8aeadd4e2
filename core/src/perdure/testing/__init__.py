"""Perdure in tests: virtual time and repeatable randomness."""

from perdure.testing._clock import ManualClock, SeededEntropy

__all__ = ["ManualClock", "SeededEntropy"]
