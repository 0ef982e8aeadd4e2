"""The shell that runs orchestrations and activities."""

from perdure.worker._worker import Worker

__all__ = ["Worker"]
