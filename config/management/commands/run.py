"""`manage.py run`: the whole platform in one process, as `make run` starts it."""

import os
from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError

from config import env
from config.processes import Platform, prepare
from lib.errors import CandorError


class Command(BaseCommand):
    """Serve at once; load the market, train and trade minutes in the background."""

    help = "Serve pages, tasks, schedule and feed in one process."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Everything is read from the environment, so that `make run PORT=9000` works."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, serve, and stop everything on Ctrl-C."""
        try:
            port = env.whole("PORT", 8000, low=1, high=65535)
            host = _host()
            prepare(self.stdout.write)
            platform = Platform(say=self.stdout.write)
        except CandorError as error:
            raise CommandError(str(error)) from error
        server = uvicorn.Server(
            uvicorn.Config(
                "config.asgi:application",
                host=host,
                port=port,
                log_level="warning",
                lifespan="off",
                ws="websockets-sansio",
                ws_max_size=8192,
                ws_per_message_deflate=False,  # small frames: twice the CPU for bytes that a loopback does not miss
                timeout_graceful_shutdown=3,
            )
        )
        self.stdout.write(f"Candor answers at http://{host}:{port}  (Ctrl-C stops it)")
        platform.start()
        try:
            server.run()
        finally:
            platform.stop()
        if not server.started:
            raise CommandError(f"port {port} is taken: choose another with PORT=")


def _host() -> str:
    """Loopback, unless the operator says that others may come in."""
    host = env.text("HOST", "127.0.0.1")
    if host not in {"127.0.0.1", "localhost", "::1"} and not env.flag("ALLOW_REMOTE"):
        raise env.BadSettingError(f"HOST={host!r} is reachable by others: set ALLOW_REMOTE=1 as well if you mean it")
    return "0.0.0.0" if env.flag("ALLOW_REMOTE") and "HOST" not in os.environ else host  # noqa: S104  # asked for
