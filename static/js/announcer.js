// Tells a screen reader of new signals: politely, in one sentence, at most once in ten seconds.

const QUIET_MS = 10_000;

export class Announcer {
  constructor(region) {
    this.region = region;
    this.waiting = [];
    this.last = -QUIET_MS;
  }

  add(text) {
    if (!text || !this.region) return;
    this.waiting.push(text);
    const wait = Math.max(0, this.last + QUIET_MS - performance.now());
    this.timer ??= setTimeout(() => this.flush(), wait);
  }

  flush() {
    this.timer = null;
    this.last = performance.now();
    const texts = this.waiting.splice(0);
    const head = texts.length === 1 ? "New signal" : `${texts.length} new signals`;
    const rest = texts.length > 3 ? `; and ${texts.length - 3} more` : "";
    this.region.textContent = `${head}: ${texts.slice(0, 3).join("; ")}${rest}`;
  }
}
