"""The base of every error that is raised on purpose."""

import pytest

from lib.errors import CandorError


@pytest.mark.parametrize(("options", "permanent"), [({}, True), ({"permanent": False}, False)])
def test_an_error_says_whether_trying_again_can_help(options: dict[str, bool], permanent: bool) -> None:
    error = CandorError("PORT='x' is not a number", **options)
    assert error.permanent == permanent
    assert str(error) == "PORT='x' is not a number"
