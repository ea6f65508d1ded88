// The live page: frames come in, slots are filled, clocks run. Every text that is not a clock comes from the server.

import htmx from "htmx.org";
import { Announcer } from "./announcer.js";
import { MarketClock, ageText, countdownText, timeText } from "./clock.js";
import { fill } from "./fill.js";
import { BoardSocket } from "./socket.js";

const LATEST_ROWS = 10;
const CHART_FRAMES = new Set(["prices", "candles", "outcomes", "rounds"]);
const STALE_WALL_S = 10; // in a sped-up recording staleness is judged by our own clock
const NOTES = {
  reconnecting: (since) => `Reconnecting: values as of ${since}`,
  stale: (since) => `Stale since ${since}: nothing new`,
};

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

export class Board {
  constructor(body) {
    this.clock = new MarketClock(Number(body.dataset.now), Number(body.dataset.speed));
    this.delay = Number(body.dataset.delay) || 0;
    this.announcer = new Announcer(document.getElementById("announcer"));
    this.paused = false;
    this.waiting = [];
    this.connected = true; // until told otherwise: the page itself is fresh
    this.touched = new WeakMap();
    setInterval(() => this.tick(), 200);
    this.socket = new BoardSocket(body.dataset.socket, Number(body.dataset.eventId) || 0, this);
    document.addEventListener("click", (event) => event.target.closest("[data-pause]") && this.togglePause());
    document.addEventListener("htmx:afterSwap", () => this.tick());
    this.tick();
  }

  onFrame(frame) {
    this.keepTime(frame);
    this.say(true);
    if (frame.type === "hello") this.delay = frame.delay_s ?? this.delay;
    if (frame.type === "ping" || frame.type === "hello") return;
    if (this.reloading) this.waiting.push(frame);
    else if (this.paused) this.hold(frame);
    else this.apply(frame);
  }

  // The clock comes with the hello; a recording's is set again at each close, because its feed may have waited.
  keepTime(frame) {
    if (frame.type === "hello") this.clock.set(frame.now, frame.speed);
    else if (this.clock.speed !== 1 && frame.type === "candles") this.clock.set(frame.close_time * 1000, this.clock.speed);
  }

  onLost() {
    this.say(false);
  }

  say(connected) {
    if (this.connected !== connected || !this.said) {
      this.said = true;
      this.connected = connected;
      const since = timeText(this.clock.now() / 1000);
      all("[data-link]").forEach((element) => {
        element.dataset.link = connected ? "on" : "lost";
        element.textContent = connected ? "Connected" : `Connection lost, as of ${since}`;
      });
      this.tick();
    }
  }

  hold(frame) {
    if (frame.type === "prices") this.waiting = this.waiting.filter((held) => held.type !== "prices");
    this.waiting.push(frame);
    this.showPause();
  }

  togglePause() {
    this.paused = !this.paused;
    if (!this.paused) this.release();
    this.showPause();
  }

  release() {
    this.waiting.splice(0).forEach((frame) => this.apply(frame));
  }

  showPause() {
    const count = this.waiting.length;
    all("[data-pause]").forEach((button) => {
      button.setAttribute("aria-pressed", String(this.paused));
      button.textContent = this.paused ? `Resume (${count} waiting)` : "Pause updates";
    });
  }

  apply(frame) {
    const act = {
      rounds: () => frame.cards.forEach((card) => this.newRound(card)),
      outcomes: () => frame.cards.forEach((card) => this.newOutcome(card)),
      prices: () => this.newPrices(frame.prices),
      feeds: () => frame.feeds.forEach((feed) => this.newFeed(feed)),
      progress: () => this.newProgress(frame),
      market: () => this.newMarket(frame),
      resync: () => this.reload(),
    }[frame.type];
    act?.();
    if (CHART_FRAMES.has(frame.type)) document.dispatchEvent(new CustomEvent("candor:frame", { detail: frame }));
    this.tick();
  }

  newRound(card) {
    const cards = all(`[data-card="${card.instrument}"]`);
    if (!cards.length) this.addCard(card);
    cards.forEach((root) => {
      if (Number(root.dataset.closeTime || 0) <= card.close_time) this.fillCard(root, card);
    });
    if (card.attrs.state === "issued") {
      this.addToLatest(card);
      this.announcer.add(card.announce);
    }
    this.newOutcome(card);
  }

  newOutcome(card) {
    all(`[data-round="${CSS.escape(card.id)}"]`).forEach((root) => this.fillCard(root, card));
  }

  fillCard(root, card) {
    fill(root, card);
    root.dataset.closeTime = card.close_time;
    const inside = all("[data-fresh]", root);
    (inside.length ? inside : [root.closest("[data-fresh]")]).forEach((widget) => widget && this.touch(widget, card.close_time));
    all("[data-widget-state]", root).forEach((each) => {
      if (["empty", "loading", "closed"].includes(each.dataset.widgetState)) this.setState(each, "live");
    });
  }

  addCard(card) {
    const template = document.getElementById("card-template");
    const board = document.querySelector("[data-board]");
    if (!template || !board) return;
    const root = template.content.firstElementChild.cloneNode(true);
    root.dataset.card = card.instrument;
    board.append(root);
    all("[data-board-empty]").forEach((element) => (element.hidden = true));
    this.fillCard(root, card);
  }

  addToLatest(card) {
    all("[data-latest]").forEach((list) => {
      if (list.querySelector(`[data-round="${CSS.escape(card.id)}"]`)) return;
      const row = list.querySelector("template").content.firstElementChild.cloneNode(true);
      fill(row, card);
      row.dataset.closeTime = card.close_time;
      const rows = [row, ...list.querySelectorAll(":scope > [data-round]")];
      rows.sort((a, b) => b.dataset.closeTime - a.dataset.closeTime);
      const focused = document.activeElement;
      list.replaceChildren(list.querySelector("template"), ...rows.slice(0, LATEST_ROWS));
      if (list.contains(focused)) focused.focus({ preventScroll: true });
      list.parentElement.querySelector("[data-latest-none]")?.setAttribute("hidden", "");
    });
  }

  newPrices(prices) {
    for (const [instrument, [price, at]] of Object.entries(prices)) {
      all(`[data-price="${instrument}"]`).forEach((element) => {
        const digits = Number(element.dataset.decimals || 2);
        element.textContent = price.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
        const widget = element.closest("[data-fresh]");
        if (widget) this.touch(widget, at);
      });
    }
  }

  newFeed(feed) {
    const key = feed.instrument_id ?? feed.venue;
    all(`[data-feed-state="${CSS.escape(String(key))}"]`).forEach((root) => fill(root, { ...feed, attrs: { state: feed.state } }));
  }

  newProgress(frame) {
    all("[data-progress]").forEach((root) => {
      root.hidden = frame.state !== "running";
      const bar = root.querySelector("progress");
      [bar.max, bar.value] = [frame.total || 1, frame.done];
      fill(root, { title: frame.title ?? frame.voter, count: frame.total ? `${frame.done} of ${frame.total}` : "starting" });
    });
  }

  // A market that changed its kind is another page.
  newMarket(frame) {
    if (frame.headline) all("[data-market]").forEach((root) => fill(root, frame));
    else if (frame.state) all(".market [data-slot=detail]").forEach((element) => this.write(element, frame.state));
    if (frame.speed) this.clock.set(this.clock.now(), frame.speed);
    if (frame.kind && frame.kind !== document.querySelector(".market")?.dataset.kind) location.reload();
  }

  // Asks for the page's live part anew; what comes meanwhile is applied to the new one, where a repetition changes nothing.
  async reload() {
    if (!document.getElementById("live")) return;
    this.reloading = true;
    try {
      await htmx.ajax("GET", location.href, { target: "#live", select: "#live", swap: "outerHTML" });
    } finally {
      this.reloading = false;
    }
    if (!this.paused) this.release();
  }

  touch(widget, at) {
    widget.dataset.asOf = Math.max(Number(widget.dataset.asOf || 0), Math.floor(at));
  }

  tick() {
    const now = this.clock.now() / 1000;
    all("[data-countdown]").forEach((element) => this.count(element, now));
    all("[data-next-close]").forEach((element) => this.write(element, countdownText(60 - (now % 60))));
    all("[data-fresh]").forEach((widget) => this.age(widget, now));
  }

  write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  // Runs to zero, freezes there as "resolving"; the outcome's card empties data-countdown and so hides it.
  count(element, now) {
    const until = Number(element.dataset.countdown);
    element.hidden = !until;
    if (!until) return;
    const left = until - now;
    element.dataset.ended = String(left <= 0);
    this.write(element, left > 0 ? countdownText(Math.ceil(left)) : "resolving");
  }

  age(widget, now) {
    const asOf = Number(widget.dataset.asOf || 0);
    if (!asOf) return;
    // Whoever moved the widget's data (the board or its chart), its wall age starts anew.
    if (this.touched.get(widget)?.asOf !== asOf) this.touched.set(widget, { asOf, at: performance.now() });
    const wall = (performance.now() - this.touched.get(widget).at) / 1000;
    const age = this.clock.speed === 1 ? now - asOf : wall;
    const limit = Number(widget.dataset.limit) + (widget.dataset.held ? this.delay : 0);
    const late = this.clock.speed === 1 ? age > limit : age > Math.max(limit / this.clock.speed, STALE_WALL_S);
    const stale = late && !widget.dataset.fixed; // a record of the past is old, not stale
    const state = this.connected ? (stale ? "stale" : "live") : "reconnecting";
    widget.classList.toggle("is-stale", stale);
    const text = stale ? `stale since ${timeText(asOf)}` : `${ageText(now - asOf)} ago`;
    all("[data-age]", widget).forEach((element) => this.write(element, text));
    if (["live", "stale", "reconnecting"].includes(widget.dataset.widgetState)) this.setState(widget, state, asOf);
  }

  setState(widget, state, asOf = 0) {
    if (widget.dataset.widgetState === state) return;
    widget.dataset.widgetState = state;
    const note = widget.querySelector(":scope > [data-note]");
    if (note) note.textContent = NOTES[state]?.(timeText(asOf)) ?? "";
  }
}
