"""A small Azure Service Bus emulator: AMQP 1.0 as the Azure SDK speaks it."""

from perdure_servicebus_emulator._clock import Clock, ManualClock, SystemClock
from perdure_servicebus_emulator._config import ConfigError, read_config
from perdure_servicebus_emulator._emulator import Emulator
from perdure_servicebus_emulator._settings import Queue

__all__ = ["Clock", "ConfigError", "Emulator", "ManualClock", "Queue", "SystemClock", "read_config"]
