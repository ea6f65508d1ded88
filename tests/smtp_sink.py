"""A real SMTP server on loopback that keeps what it receives (aiosmtpd; RFC 5321)."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pytest_django import Settings


@dataclass
class SmtpSink:
    """What arrived, in order, and where the server listens."""

    host: str = "127.0.0.1"
    port: int = 0
    messages: list[Message] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802, ANN401  # aiosmtpd's hook
        """Keep one message."""
        self.messages.append(message_from_bytes(envelope.content))
        return "250 OK"


@contextmanager
def smtp_sink() -> Iterator[SmtpSink]:
    """Run a sink on a free port."""
    sink = SmtpSink()
    with socket.create_server((sink.host, 0)) as free:
        sink.port = free.getsockname()[1]  # the controller cannot name a port that the system chose
    controller = Controller(sink, hostname=sink.host, port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


@pytest.fixture
def sink(settings: Settings) -> Iterator[SmtpSink]:
    """A real SMTP server on loopback that Django sends to."""
    with smtp_sink() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = running.host, running.port
        yield running
