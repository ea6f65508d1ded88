"""Every page, as every kind of reader meets it: axe, target sizes, narrow screens, themes, keys, motion, weight."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from lib import clock
from signals.agent_lines import ANSWERS
from signals.cards import cards_of
from signals.gallery import STATES, WIDGETS
from signals.models import Round
from tests.browser.conftest import OpenPage, Watched, Wire
from tests.signals import panels, records

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
DIST = Path(__file__).parents[2] / "static" / "dist"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PUBLIC = (
    "/",
    "/history",
    "/models",
    "/patterns",
    "/settings",
    "/disclaimer/",
    "/terms/",
    "/accounts/login/",
    "/accounts/signup/",
)

SMALL_TARGETS = """() => [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')]
  .filter((e) => e.checkVisibility() && e.type !== 'hidden')
  .map((e) => [e.outerHTML.slice(0, 120), e.getBoundingClientRect(), e.matches('.primary') ? 44 : 24])
  .filter(([, box, least]) => box.width < least || box.height < least)
  .map(([html, box]) => `${Math.round(box.width)}×${Math.round(box.height)} ${html}`)"""
WIDE = """const wide = document.documentElement.clientWidth;
  const found = document.documentElement.scrollWidth <= wide ? [] : [...document.querySelectorAll('body *')]
    .filter((e) => e.getBoundingClientRect().right > wide + 1 && !e.closest('.table-box'))
    .map((e) => `reaches ${Math.round(e.getBoundingClientRect().right)}: ${e.outerHTML.slice(0, 120)}`)
    .concat(document.documentElement.scrollWidth);"""
SPILLED = """() => [...document.querySelectorAll('.widget, .widget *')].filter((e) => e.checkVisibility())
  .filter((e) => e.getBoundingClientRect().right > e.closest('.widget').getBoundingClientRect().right - 4
    && e.matches('li, p, dt, dd, a, button, h2, i') && !e.closest('.table-box, .rows'))
  .map((e) => e.outerHTML.slice(0, 120))"""
TORN = """() => { const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walk.nextNode()) { const node = walk.currentNode, range = document.createRange();
    if (!node.parentElement.checkVisibility() || node.parentElement.closest('.break, code')) continue;
    for (const word of node.data.matchAll(/[\\p{L}\\d]{2,12}/gu)) {
      range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1)
        found.push(`${word[0]} in ${node.parentElement.outerHTML.slice(0, 120)}`); } }
  return found; }"""
NARROW = f"() => {{ {WIDE} return found; }}"
CLIPPED = f"""() => {{ const style = document.createElement('style');
  style.nonce = document.querySelector('script[nonce]').nonce;
  style.textContent = '* {{ line-height: 1.5 !important; letter-spacing: 0.12em !important; '
    + 'word-spacing: 0.16em !important }}';
  document.head.append(style); {WIDE} style.remove(); return found; }}"""
NAKED = """() => [...document.querySelectorAll('[data-probability]')].filter((e) => e.textContent.trim())
  .filter((e) => !/ of [\\d,]+ \\(\\d+–\\d+\\) · (live|validation)/.test(
    e.parentElement.parentElement.querySelector('[data-n]')?.textContent ?? ''))
  .map((e) => e.outerHTML)"""
SHIFTS = """window.shift = 0; window.moved = [];
new PerformanceObserver((list) => list.getEntries().filter((entry) => !entry.hadRecentInput).forEach((entry) => {
  window.shift += entry.value;
  window.moved.push(...entry.sources.map((s) => s.node?.outerHTML?.slice(0, 120) ?? s.node?.textContent));
})).observe({type: 'layout-shift', buffered: true});"""
FOCUSED = """() => { const e = document.activeElement; if (e === document.body) return null;
  const s = getComputedStyle(e);
  return [e.outerHTML.slice(0, 90), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]; }"""
COLOUR_ONLY = """() => [...document.querySelectorAll('[data-direction]:not(li)')].filter((e) => e.checkVisibility())
  .filter((e) => !/[▲▼○●]|UP|DOWN|No signal|Waiting/.test(e.textContent)).map((e) => e.outerHTML.slice(0, 200))"""


def axe(page: Page, run_only: list[str]) -> list[str]:
    """Violations, in words; `run_only` are tags or rules."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("(only) => axe.run({runOnly: only})", run_only)
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def looked_at(page: Page, name: str) -> list[str]:
    """All that is wrong with a page: every rule on a light phone, contrast on a dark desk, sizes at every width."""
    wrong = []
    for width, theme, rules in ((390, "light", TAGS), (1280, "dark", ["color-contrast"])):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of two literals
        wrong += [f"{name} {width} {theme} {fault}" for fault in axe(page, rules)]
        wrong += [f"{name} {width} target {fault}" for fault in page.evaluate(SMALL_TARGETS)]
    for width in (320, 768, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        wrong += [f"{name} {width} {fault}" for fault in page.evaluate(NARROW)]
        wrong += [f"{name} {width} torn {fault}" for fault in page.evaluate(TORN)]
        wrong += [f"{name} {width} spilled {fault}" for fault in page.evaluate(SPILLED)]
    page.set_viewport_size({"width": 390, "height": 900})
    wrong += [f"{name}: with wide text spacing {fault}" for fault in page.evaluate(CLIPPED)]
    wrong += [f"{name}: naked probability {fault}" for fault in page.evaluate(NAKED)]
    wrong += [f"{name}: colour only {fault}" for fault in page.evaluate(COLOUR_ONLY)]
    return wrong


@pytest.fixture
def busy(site: str) -> records.Market:
    """A market with half an hour of rounds in every state."""
    return records.busy(3, rounds=25, bars=90)


def test_pages_for_visitors(site: str, busy: records.Market, open_page: OpenPage, wire: Wire) -> None:
    wrong = []
    page = open_page("/settings", before=wire.attach)
    for path in PUBLIC:
        page.goto(path)
        wrong += looked_at(page, path)
    assert wrong == []


def test_pages_for_members(site: str, busy: records.Market, member: Client, open_page: OpenPage, wire: Wire) -> None:
    page = open_page(user=member, before=wire.attach)
    expect(page.locator("[data-chart-area]")).to_have_attribute("data-bars", "90")
    wrong = looked_at(page, "dashboard")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.locator("[data-latest] [data-outcome=won]").first.click()
    page.wait_for_url(re.compile("/signals/"))
    wrong += looked_at(page, "signal")
    for path in ("/history?state=", "/accept/", "/organization/"):
        page.goto(path)
        wrong += looked_at(page, path)
    assert wrong == []


def test_the_leaderboard_of_a_panel_with_its_agents(site: str, open_page: OpenPage) -> None:
    panels.panel()
    page = open_page("/models")
    assert page.locator("[data-agent]").count() == len(ANSWERS)
    assert page.locator("[data-agent=regime]").inner_text().count("silent") == 1
    assert looked_at(page, "models") == []


def test_the_gallery_shows_every_widget_in_every_state(site: str, open_page: OpenPage) -> None:
    page = open_page("/gallery/")
    assert page.locator("[data-gallery]").count() == len(WIDGETS) * len(STATES)
    for state, note in STATES.items():
        shown = page.locator(f"[data-widget-state={state}] > .widget-note")
        assert set(shown.all_inner_texts()) <= {note}, state
    assert looked_at(page, "gallery") == []


def test_the_theme_follows_the_system_until_it_is_chosen(site: str, open_page: OpenPage, tmp_path: Path) -> None:
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light, dark = "rgb(246, 247, 245)", "rgb(13, 17, 19)"
    page = open_page("/settings", color_scheme="dark")
    assert page.evaluate(paper) == dark
    page.get_by_label("Light", exact=True).check()
    page.get_by_label("Blue up, orange down").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_have_text("Saved.")
    for path in ("/", "/history"):
        page.goto(path, wait_until="commit")
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        page.wait_for_load_state()
        assert page.evaluate(paper) == light
        assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--up')").strip()


def test_all_by_keyboard(site: str, busy: records.Market, member: Client, open_page: OpenPage, wire: Wire) -> None:
    page = open_page(user=member, before=wire.attach)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.type("eth?")
    assert page.locator("#find").input_value() == "eth?"
    page.keyboard.press("Backspace")
    expect(page.locator("#instruments .row:visible")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("[data-stop]:visible").first).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("[data-stop]:visible").first).to_be_focused()
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url("**/history")


def test_focus_is_seen_everywhere_and_never_trapped(
    site: str, busy: records.Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    page = open_page(user=member, before=wire.attach)
    expect(page.locator("[data-chart-area]")).to_have_attribute("data-bars", "90")
    seen: list[str] = []
    for _ in range(120):
        page.keyboard.press("Tab")
        where = page.evaluate(FOCUSED)
        if where is None:
            break
        assert where[1], where[0]
        seen.append(where[0])
    assert len(seen) > 20
    assert any("Keyboard help" in text or "data-help" in text for text in seen)


def test_single_keys_can_be_switched_off(site: str, open_page: OpenPage) -> None:
    page = open_page("/settings")
    page.get_by_label("Single-key shortcuts off").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_have_text("Saved.")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_hidden()


def test_nothing_moves_for_who_asks_for_calm(site: str, busy: records.Market, open_page: OpenPage, wire: Wire) -> None:
    page = open_page(before=wire.attach, reduced_motion="reduce")
    assert page.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere/", 404), ("/signals/00000000-0000-4000-8000-000000000000/", 404)]
)
def test_error_pages_lead_back(site: str, open_page: OpenPage, watched: Watched, path: str, status: int) -> None:
    watched.allow(f"status of {status}")
    page = open_page(path)
    expect(page.locator("code")).to_have_text(re.compile("[0-9a-f]{32}"))
    assert axe(page, TAGS) == []
    page.get_by_role("link", name="Back to the board").click()
    expect(page.locator("h1")).to_contain_text("Nine voters")


def test_pages_are_light_and_do_not_jump(
    site: str, busy: records.Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    weights: dict[str, int] = {}

    def weigh(page: Page) -> None:
        wire.attach(page)
        page.add_init_script(SHIFTS)
        page.on("requestfinished", lambda r: weights.__setitem__(r.url, r.sizes()["responseBodySize"]))

    page = open_page(user=member, before=weigh)
    expect(page.locator("[data-chart-area]")).to_have_attribute("data-bars", "90")
    signal = records.issued(busy.instruments[0], busy.now + records.MINUTE)
    row = Round.objects.select_related("instrument__venue").get(pk=signal.round_id)
    frame = {
        "type": "rounds",
        "id": 1,
        "close_time": 0,
        "cards": cards_of([row], [signal], [], clock.wall_now().timestamp()),
    }
    wire.send(frame)
    expect(page.locator("[data-latest] [data-round]").first).to_have_attribute("data-round", str(signal.public_id))
    page.wait_for_timeout(300)
    assert page.evaluate("window.shift") <= 0.05, page.evaluate("window.moved")
    assert len(weights) <= 25
    zipped = {name: len(gzip.compress((DIST / name).read_bytes())) for name in ("app.js", "chart.js", "app.css")}
    assert zipped["app.js"] + zipped["chart.js"] <= 180 * 1024
    assert zipped["app.js"] <= 120 * 1024
    assert zipped["app.css"] <= 40 * 1024
