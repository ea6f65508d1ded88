// The market clock of the server, kept against the browser's monotonic clock: the device's own clock may be wrong.

const AHEAD_MS = 60_000; // in a recording the feed drives the minutes: never run further ahead than one of them

export class MarketClock {
  constructor(nowMs, speed) {
    this.set(nowMs, speed);
  }

  set(nowMs, speed) {
    this.speed = speed || 1;
    this.base = nowMs;
    this.mark = performance.now();
  }

  // Milliseconds since 1970 on the market clock.
  now() {
    const gone = (performance.now() - this.mark) * this.speed;
    return this.base + (this.speed === 1 ? gone : Math.min(gone, AHEAD_MS));
  }
}

const shapes = new Map();

function shape(zone, form) {
  const key = zone + form;
  if (!shapes.has(key)) {
    const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: zone };
    const day = { year: "numeric", month: "2-digit", day: "2-digit" };
    shapes.set(key, new Intl.DateTimeFormat("sv-SE", form === "day" ? { ...day, ...time } : time));
  }
  return shapes.get(key);
}

// 14:03:07, or 2025-03-01 14:03:07 for form "day", in the reader's zone.
export function timeText(seconds, form = "time") {
  return seconds ? shape(document.documentElement.dataset.tz || "UTC", form).format(seconds * 1000) : "";
}

// 0:42; never negative.
export function countdownText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// One unit, rounded down: 12 s, 4 min, 3 h, 2 d.
export function ageText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  for (const [size, unit] of [[86_400, "d"], [3_600, "h"], [60, "min"]]) {
    if (whole >= size) return `${Math.floor(whole / size)} ${unit}`;
  }
  return `${whole} s`;
}
