"""Settings of child processes under test: the suite's, with the log that a scenario reads."""

from config.settings.test import *  # noqa: F403  # settings modules extend each other by design

LOGGING = {"json": True, "level": "INFO"}
