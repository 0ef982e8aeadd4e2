"""Workers without a process of their own: functions that a cloud calls with messages in hand.

`lambda_handler` is for AWS Lambda. One call handles one batch: turns, activities, or both.
"""

from perdure.hosting._lambda import lambda_handler

__all__ = ["lambda_handler"]
