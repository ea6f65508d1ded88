"""The one base of errors that Candor raises on purpose."""


class CandorError(Exception):
    """A fault that names its input and its remedy in one sentence.

    Args:
        message: what was wrong with which input, and what to do about it.
        permanent: True when trying again cannot help (disable and tell the owner),
            False when a later attempt may succeed (retry with back-off).
    """

    def __init__(self, message: str, *, permanent: bool = True) -> None:
        super().__init__(message)
        self.permanent = permanent
