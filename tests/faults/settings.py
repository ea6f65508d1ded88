"""Settings of child processes under test: the suite's, with the log that a scenario reads, and a server's door."""

from config import env
from config.settings.test import *  # noqa: F403  # settings modules extend each other by design

LOGGING = {"json": True, "level": "INFO"}
SOCKET_ACCEPTS_A_SECOND = env.number("SOCKET_ACCEPTS_A_SECOND", 100, low=1)
