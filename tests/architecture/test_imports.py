"""Who may import whom, and what a web process must not hold."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "xgboost", "sklearn", "ccxt", "talib", "openai", "google.genai", "httpx2", "pydantic")
APPS = ("config", "accounts", "alerts", "billing", "lib", "markets", "models_ml", "signals", "trading")


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


RENDER = f"""
import django, sys
django.setup()
import config.asgi, config.urls
from django.test import Client
answer = Client().get("/", headers={{"host": "localhost"}})
print(answer.status_code, *sorted(set(sys.modules) & set({HEAVY!r})))
"""


@pytest.mark.django_db(transaction=True)
def test_a_web_process_that_rendered_a_page_holds_nothing_heavy() -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    done = subprocess.run([sys.executable, "-c", RENDER], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "200", "status, then what should not be loaded"


@pytest.mark.parametrize("app", APPS)
def test_every_app_of_the_plan_is_there_and_says_what_it_is(app: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / app / "__init__.py").read_text()))
    assert docstring, f"{app}/__init__.py has no docstring"


def sources() -> list[Path]:
    """Every Python file of the apps, without migrations."""
    return [path for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts]


def test_only_the_clock_reads_the_time() -> None:
    """Two clocks in one file; anything else would mix them up in a replay."""
    found = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Attribute) or node.attr not in {"now", "utcnow", "today"}:
                continue
            if path != ROOT / "lib" / "clock.py" and ast.unparse(node).startswith(("datetime.", "timezone.", "date.")):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_there_is_no_attic() -> None:
    attics = {"utils.py", "helpers.py", "services.py", "common.py", "signals.py"}
    assert [str(path) for path in sources() if path.name in attics] == []


def test_nothing_is_pickled() -> None:
    """Models are safetensors, .ubj and skops; a pickle runs what it holds."""
    found = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [
                f"{path.relative_to(ROOT)}: {name}"
                for name in names
                if name.split(".")[0] in {"pickle", "joblib", "dill"}
            ]
    assert found == []
