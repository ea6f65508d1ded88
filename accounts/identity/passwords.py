"""What a password may be, beyond what Django checks."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User


class MaximumLengthValidator:
    """Refuses passwords that are longer than any person or manager makes them: hashing them is work for us."""

    def __init__(self, max_length: int = 128) -> None:
        self.max_length = max_length

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError for a password that is too long."""
        if len(password) > self.max_length:
            message = _("This password is too long: use at most %(max_length)d characters.")
            raise ValidationError(message, code="password_too_long", params={"max_length": self.max_length})

    def get_help_text(self) -> str:
        """The line under the field."""
        words = ngettext(
            "Your password can have up to %(max_length)d character.",
            "Your password can have up to %(max_length)d characters.",
            self.max_length,
        )
        return words % {"max_length": self.max_length}
