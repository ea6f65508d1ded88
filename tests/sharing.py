"""Which tests share a worker under `pytest -n`: those that would otherwise fight for the machine or train twice.

pytest-xdist 3.8 hands the `xdist_group` mark on in a field that pytest 9.2 no longer reads, so that `--dist loadgroup`
spreads grouped tests like any others. Here the group is told from the path.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling

GROUPS = {
    "tests/faults/": "faults",
    "tests/browser/": "browser",
    "tests/flows/test_one_candle": "trained",
    "tests/flows/test_language_votes": "trained",
    "tests/models_ml/test_training": "trained",
    "tests/models_ml/test_champions": "trained",
}


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # the library carries no types
    """Keeps each group of `GROUPS` on one worker and spreads all other tests singly."""

    def _split_scope(self, nodeid: str) -> str:
        return next((group for path, group in GROUPS.items() if nodeid.startswith(path)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByGroup | None:
    """In place of xdist's own scheduler under `--dist loadgroup`."""
    return ByGroup(config, log) if config.getoption("dist") == "loadgroup" else None
