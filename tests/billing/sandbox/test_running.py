"""Starting and stopping: state on disk, ports, and running it by hand."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import override_settings

from billing.sandbox.server import Sandbox, SandboxError
from billing.sandbox.world import World, save
from config.env import BadSettingError
from config.sandbox import start_sandbox
from tests.billing.sandbox.conftest import Shop, client_of

ROOT = Path(__file__).parents[3]


def test_subscriptions_survive_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "var" / "sandbox.json"
    with Sandbox(file=file) as first:
        shop = Shop(first, client_of(first))
        made = shop.subscribe(shop.customer())
        key = first.key
        first.listen_to("http://127.0.0.1:9/hook", "whsec_kept")
        first.advance(40 * 86_400)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["sandbox.json"]
    with Sandbox(file=file) as second:
        assert second.key == key
        assert second.listen_to("http://127.0.0.1:9/hook") == "whsec_kept"
        again = Shop(second, client_of(second))
        found = again.subscription(made)
        assert (found.status, len(again.invoices(str(found.customer)))) == ("active", 2)
        url = again.invoices(str(found.customer))[0].hosted_invoice_url or ""
        assert url.startswith(second.url)
        assert httpx.get(url).status_code == 200
        second.advance(1)
        second.stop()
        second.stop()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    world = World()
    save(world, file)
    world.sequence = 7
    save(world, file)
    fresh = World()
    fresh.restore(file.read_text())
    assert fresh.sequence == 7


def test_a_broken_file_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.json"
    file.write_text("{")
    with pytest.raises(SandboxError, match=r"sandbox\.json cannot be read"):
        Sandbox(file=file)


def test_a_taken_port_gives_another_or_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SandboxError, match="SANDBOX_PORT"):
            Sandbox(port=port)
        with Sandbox(port=port, more_ports=5) as found:
            assert port < found.port <= port + 5
    with pytest.raises(SandboxError, match="not running"):
        Sandbox().now()


def test_make_run_points_the_site_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv("BILLING", "sandbox")
    for name in ("STRIPE_SECRET_KEY", "STRIPE_API_BASE", "STRIPE_WEBHOOK_SECRETS"):
        monkeypatch.setenv(name, "")  # so that what is set is taken back
    with override_settings(VAR_DIR=tmp_path, STRIPE_SECRET_KEY="", STRIPE_API_BASE="", STRIPE_WEBHOOK_SECRETS=[]):
        from django.conf import settings

        found = start_sandbox("127.0.0.1", 8000, said.append)
        assert found is not None
        try:
            site: Any = settings
            assert found.url == site.STRIPE_API_BASE
            assert (site.STRIPE_SECRET_KEY, len(site.STRIPE_WEBHOOK_SECRETS)) == (found.key, 1)
            assert "no real money" in said[0]
            found.listen_to("http://127.0.0.1:7000/billing/webhook/")
            found.listen_alone("http://127.0.0.1:8000/billing/webhook/")
            urls = [row.url for row in client_of(found).v1.webhook_endpoints.list().data]
            assert urls == ["http://127.0.0.1:8000/billing/webhook/"]
        finally:
            found.stop()
        assert start_sandbox("127.0.0.1", 8000, said.append) is None  # there is a key now
    with override_settings(VAR_DIR=tmp_path, STRIPE_SECRET_KEY=""):
        assert start_sandbox("0.0.0.0", 8000, said.append) is None  # noqa: S104  # what is refused
        monkeypatch.setenv("BILLING", "off")
        assert start_sandbox("127.0.0.1", 8000, said.append) is None
        monkeypatch.setenv("BILLING", "stripes")
        with pytest.raises(BadSettingError, match="BILLING"):
            start_sandbox("127.0.0.1", 8000, said.append)


def test_it_runs_by_hand(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "billing.sandbox", "--port", str(port), "--file", str(tmp_path / "s.json")]
    child = subprocess.Popen(
        [*command, "--webhook", "http://127.0.0.1:9/"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(4)]
        assert lines[1] == f"STRIPE_API_BASE=http://127.0.0.1:{port}\n"
        assert lines[3].startswith("STRIPE_WEBHOOK_SECRETS=whsec_")
        assert httpx.get(f"http://127.0.0.1:{port}/sandbox/").status_code == 200
        taken = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert (taken.returncode, "SANDBOX_PORT" in taken.stderr) == (1, True)
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()
    assert (tmp_path / "s.json").exists()


def test_what_is_due_happens_by_itself(shop: Shop) -> None:
    now = shop.sandbox.now()
    made = shop.subscribe(shop.customer(), trial_end=now + 1)
    for _ in range(600):
        if shop.subscription(made).status == "active":
            return
        time.sleep(0.1)
    pytest.fail("the trial did not end")
