"""Perdure in tests: virtual time, repeatable randomness, and oracles that judge a whole hub."""

from perdure.testing._clock import ManualClock, SeededEntropy
from perdure.testing._oracles import ORACLES, Finding
from perdure.testing._oracles_hub import Effect
from perdure.testing._verify import Expected, Report, verify

__all__ = ["ORACLES", "Effect", "Expected", "Finding", "ManualClock", "Report", "SeededEntropy", "verify"]
