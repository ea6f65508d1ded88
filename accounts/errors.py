"""What a person asked for and cannot have, said so that they can change it."""

from lib.errors import CandorError


class MembershipError(CandorError):
    """An invitation, a role or a removal that the organization's rules refuse."""


class PlanError(CandorError):
    """A plan key that no plan has."""


class PrivacyError(CandorError):
    """An export or an erasure that cannot be had as asked."""


class ImpersonationError(CandorError):
    """An operator's wish to look as somebody who may not be looked at."""


class ConsoleError(CandorError):
    """An act of an operator that would lock somebody out for good, or undo an erasure."""
