"""Mail that leaves after the act it tells of is committed."""

from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from lib.transactions import on_commit


def mail_later(to: str, subject: str, template: str, **context: object) -> None:
    """Render now, send after commit; a mail server that is down is logged and undoes nothing."""
    line = " ".join(f"Candor: {subject}".split())
    message = EmailMessage(line, render_to_string(f"accounts/email/{template}.txt", context), to=[to])
    on_commit(lambda: _send(message))


def _send(message: EmailMessage) -> None:
    message.send()
