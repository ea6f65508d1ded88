"""`manage.py run`: the whole platform in one process, as `make run` starts it."""

import signal
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError

from config.addresses import address, listen
from config.processes import Platform, prepare
from config.sandbox import start_sandbox
from lib.errors import CandorError


class Command(BaseCommand):
    """Serve at once; load the market, train and trade minutes in the background."""

    help = "Serve pages, tasks, schedule and feed in one process. Everything is read from the environment."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, serve, and stop everything on Ctrl-C or SIGTERM."""
        try:
            host, port = address()
            door = listen(host, port)  # before anything else, so that a taken port ends no run of another process
            prepare(self.stdout.write)
            sandbox = start_sandbox(host, port, self.stdout.write)
            platform = Platform(say=self.stdout.write)
        except CandorError as error:
            raise CommandError(str(error)) from error
        config = uvicorn.Config(
            "config.asgi:application",
            log_level="warning",
            lifespan="off",
            proxy_headers=False,  # whom to believe about addresses is TRUSTED_PROXIES, not whoever is on loopback
            ws="websockets-sansio",
            ws_max_size=8192,
            ws_per_message_deflate=False,  # small frames: twice the CPU for bytes that a loopback does not miss
            timeout_graceful_shutdown=3,
        )
        self.stdout.write(f"Candor answers at http://{host}:{port}  (Ctrl-C stops it)")
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # what uvicorn re-raises must not end us unstopped
        platform.start()
        try:
            uvicorn.Server(config).run(sockets=[door])
        except KeyboardInterrupt:
            self.stdout.write("stopping")
        finally:
            platform.stop()
            if sandbox is not None:
                sandbox.stop()
