"""Where the site listens: loopback, unless the operator says that others may come in."""

import os
import socket

from config import env

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def address() -> tuple[str, int]:
    """Host and port from HOST, PORT and ALLOW_REMOTE.

    Raises:
        BadSettingError: another address without ALLOW_REMOTE=1, or without the names it will be called by.
    """
    port = env.whole("PORT", 8000, low=1, high=65535)
    host, remote = env.text("HOST", "127.0.0.1"), env.flag("ALLOW_REMOTE")
    if remote and "HOST" not in os.environ:
        host = "0.0.0.0"  # noqa: S104  # asked for
    if host in LOOPBACK:
        return host, port
    if not remote:
        raise env.BadSettingError(f"HOST={host!r} is reachable by others: set ALLOW_REMOTE=1 as well if you mean it")
    if not env.text("ALLOWED_HOSTS"):
        raise env.BadSettingError("ALLOW_REMOTE=1 needs ALLOWED_HOSTS: the names this machine is called by")
    return host, port


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything is started; a taken port is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise env.BadSettingError(
            f"port {port} of {host} cannot be used ({error.strerror}): choose another with PORT="
        ) from error
    found.listen(2048)
    return found
