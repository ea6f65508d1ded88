"""Docs cannot lag: every registry key, setting and route is mentioned; and no file outgrows its reader."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from markets.intelligence import FEEDS
from markets.venues import VENUES
from models_ml.agents import AGENTS
from models_ml.features import FEATURE_GROUPS
from models_ml.lenses import LENSES
from models_ml.patterns.registry import PATTERNS
from models_ml.voters import VOTERS
from signals.risk import RISK_CHECKS

ROOT = Path(__file__).parents[2]
READERS = {"text", "flag", "number", "whole", "words", "database"}
LONGEST = 400


@cache
def documented() -> str:
    """All that is written in README.md and docs/."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(page.read_text() for page in pages if page.exists())


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the repository; those not yet added as well."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(path for name in done.stdout.splitlines() if (path := ROOT / name).is_file())


@pytest.mark.parametrize(
    "key",
    [*VENUES, *FEEDS, *VOTERS, *AGENTS, *FEATURE_GROUPS, *LENSES, *PATTERNS, *RISK_CHECKS],
    ids=str,
)
def test_every_registry_key_is_documented(key: str) -> None:
    assert f"`{key}`" in documented(), f"{key} stands in a registry and in no page of docs/"


def variables() -> set[str]:
    """Names of all environment variables that are read through config.env."""
    found = set()
    for path in tracked():
        if path.suffix != ".py" or "tests" in path.relative_to(ROOT).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            first = node.args[0]
            if ast.unparse(node.func) in {f"env.{name}" for name in READERS} and isinstance(first, ast.Constant):
                found.add(str(first.value))
    return found


def test_every_setting_is_in_the_table_and_the_table_holds_no_other() -> None:
    table = set(
        re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE)
    )
    read = variables()
    assert len(read) > 30
    assert read - table == set(), "read by the code, missing in docs/configuration.md"
    elsewhere = "\n".join(
        path.read_text() for path in tracked() if path.suffix == ".py" and path.name != "test_docs.py"
    )
    assert {name for name in table - read if name not in elsewhere} == set(), "in docs/configuration.md, read by nobody"


def routes(patterns: list[URLPattern | URLResolver], before: str = "") -> list[str]:
    """Every address below /api/, as docs write it: `/api/v1/rounds/{public_id}/`."""
    found: list[str] = []
    for pattern in patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found += routes(pattern.url_patterns, address)
        elif address.startswith("api/"):
            found.append("/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", address))
    return found


def test_every_api_route_is_documented() -> None:
    found = routes(get_resolver().url_patterns)
    assert "/api/v1/health/" in found
    assert [address for address in found if address not in documented()] == []


def test_no_file_outgrows_its_reader() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked()
        if path.suffix in {".py", ".js", ".css", ".html"} and (lines := len(path.read_text().splitlines())) > LONGEST
    }
    assert long == {}


def test_links_between_pages_lead_somewhere() -> None:
    pages = [path for path in tracked() if path.suffix == ".md"]
    links = [(page, target) for page in pages for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())]
    inside = [(page, target) for page, target in links if "://" not in target and not target.startswith("mailto:")]
    broken = [f"{page.name} → {target}" for page, target in inside if not (page.parent / target).exists()]
    assert broken == []


def test_the_repository_speaks_of_itself_only() -> None:
    """No path out of the checkout, but the one that tests read recorded data from."""
    out = re.compile(r"\.\./shared|/work/|/root/")
    allowed = {ROOT / "tests" / "conftest.py", Path(__file__)}
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()[:80]}"
        for path in tracked()
        if path not in allowed
        and path.suffix in {".py", ".md", ".toml", ".js", ".css", ".html", ".json", ".in", ".txt", ""}
        for line in path.read_text(errors="replace").splitlines()
        if out.search(line)
    ]
    assert found == []


def test_nothing_is_left_to_do_in_the_code() -> None:
    marks = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    found = [
        str(path.relative_to(ROOT)) for path in tracked() if path.suffix == ".py" and marks.search(path.read_text())
    ]
    assert found == []
