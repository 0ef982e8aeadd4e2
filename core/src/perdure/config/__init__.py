"""Settings from URLs, TOML files, the environment and arguments: typed, checked, and explained when they are wrong."""

from perdure.config._load import Loaded, explain_settings, load_settings
from perdure.config._location import parse_location
from perdure.config._rows import SettingRow, describe_settings, value_of
from perdure.config._settings import Settings, WorkerSettings

__all__ = [
    "Loaded",
    "SettingRow",
    "Settings",
    "WorkerSettings",
    "describe_settings",
    "explain_settings",
    "load_settings",
    "parse_location",
    "value_of",
]
