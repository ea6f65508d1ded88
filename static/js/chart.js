// Candles with indicators, signals, gaps and expiries. Data and words come from the server (signals/charts.py).

import {
  CandlestickSeries,
  CrosshairMode,
  HistogramSeries,
  LineSeries,
  LineStyle,
  createChart,
  createSeriesMarkers,
} from "lightweight-charts";
import { timeText } from "./clock.js";
import { fill } from "./fill.js";

const REFRESH_MS = 5_000; // indicators are asked for again after a close, never more often than this
const STYLES = {
  ema_fast: { color: "--blue", width: 2 },
  ema_slow: { color: "--orange", width: 2 },
  band_upper: { color: "--line-2", width: 1 },
  band_middle: { color: "--line-2", width: 1, dashed: true },
  band_lower: { color: "--line-2", width: 1 },
  rsi: { color: "--blue", width: 2 },
  macd: { color: "--blue", width: 2 },
  macd_signal: { color: "--orange", width: 2 },
};
const nonce = document.querySelector("script[nonce]")?.nonce ?? "";

// A canvas understands no light-dark(): the browser resolves the token on a probe element.
function colour(name) {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  probe.style.color = `var(${name})`;
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

// The library adds a <style> for its attribution link, some frames later: under our policy it needs the page's nonce.
const createElement = document.createElement;
document.createElement = function (name, options) {
  const element = createElement.call(document, name, options);
  if (name === "style") element.nonce = nonce;
  return element;
};

class CandleChart {
  constructor(root) {
    this.root = root;
    this.area = root.querySelector("[data-chart-area]");
    this.instrument = root.dataset.chart;
    this.off = new Set(innerWidth < 640 ? ["rsi", "macd", "patterns"] : []);
    this.fetched = 0;
    root.addEventListener("click", (event) => this.toggle(event.target.closest("[data-indicator]")));
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.showToggles();
    this.load();
  }

  async load() {
    this.fetched = performance.now();
    const answer = await fetch(this.root.dataset.source, { headers: { Accept: "application/json" } });
    if (!answer.ok) return this.state("error", "The chart could not be loaded. Reload the page to try again.");
    this.data = await answer.json();
    fill(this.root, this.data);
    this.root.dataset.asOf = this.data.as_of;
    this.state(this.data.candles.length ? "live" : "empty", "No candles are stored yet; the first one closes within a minute.");
    if (this.data.candles.length) this.draw();
  }

  state(name, text) {
    this.root.dataset.widgetState = name;
    this.root.querySelector(":scope > [data-note]").textContent = name === "live" ? "" : text;
  }

  draw() {
    const range = this.chart?.timeScale().getVisibleLogicalRange();
    this.chart?.remove();
    this.chart = createChart(this.area.querySelector("[data-canvas]"), this.options());
    this.drawCandles();
    this.drawShades();
    this.drawLines();
    this.drawPatterns();
    this.drawMarkers();
    if (range) this.chart.timeScale().setVisibleLogicalRange(range);
    else this.chart.timeScale().setVisibleLogicalRange({ from: this.data.candles.length - 90, to: this.data.candles.length + 4 });
  }

  options() {
    const line = colour("--line");
    const zoned = (seconds) => timeText(seconds).slice(0, 5);
    return {
      autoSize: true,
      layout: {
        background: { color: colour("--surface") },
        textColor: colour("--ink-2"),
        fontFamily: getComputedStyle(document.body).fontFamily,
        panes: { separatorColor: line, enableResize: false },
        attributionLogo: true,
      },
      grid: { vertLines: { color: "transparent" }, horzLines: { color: line } },
      crosshair: { mode: CrosshairMode.Magnet },
      rightPriceScale: { borderColor: line },
      timeScale: { borderColor: line, timeVisible: true, secondsVisible: false, tickMarkFormatter: zoned },
      localization: { timeFormatter: (seconds) => timeText(seconds, "day").slice(0, 16) },
      handleScroll: { mouseWheel: false },
      handleScale: { mouseWheel: false },
    };
  }

  drawCandles() {
    const [up, down] = [colour("--up"), colour("--down")];
    const surface = colour("--surface");
    // A rising candle is hollow, a falling one is filled: the direction is told without colour.
    this.candles = this.chart.addSeries(CandlestickSeries, {
      upColor: surface, borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down,
      priceFormat: { type: "price", precision: this.data.decimals, minMove: 10 ** -this.data.decimals },
    });
    const bars = this.data.candles.map(([time, open, high, low, close]) => (open === null ? { time } : { time, open, high, low, close }));
    this.candles.setData(bars);
    this.last = bars.at(-1);
    this.area.dataset.bars = bars.length;
  }

  drawShades() {
    const shade = this.chart.addSeries(HistogramSeries, { priceScaleId: "shade", priceLineVisible: false, lastValueVisible: false });
    this.chart.priceScale("shade").applyOptions({ scaleMargins: { top: 0, bottom: 0 }, visible: false });
    const [gap, expiry] = [colour("--warn-wash"), colour("--sunk")];
    const shades = new Map();
    this.data.expiries.forEach((time) => shades.set(time, expiry));
    this.data.gaps.forEach((time) => shades.set(time, gap));
    const times = [...shades.keys()].sort((a, b) => a - b);
    shade.setData(times.map((time) => ({ time, value: 1, color: shades.get(time) })));
    shade.setSeriesOrder(0);
  }

  drawLines() {
    let pane = 0;
    for (const group of this.data.indicators) {
      if (this.off.has(group.key)) continue;
      const at = group.own_pane ? ++pane : 0;
      for (const [name, values] of Object.entries(group.lines)) this.drawLine(name, values, at);
    }
    this.chart.panes().forEach((each, at) => each.setStretchFactor(at === 0 ? 4 : 1));
  }

  drawLine(name, values, pane) {
    const histogram = name === "macd_histogram";
    const style = STYLES[name] ?? { color: "--ink-2", width: 1 };
    const options = { color: colour(histogram ? "--line-2" : style.color), priceLineVisible: false, lastValueVisible: false };
    if (!histogram) Object.assign(options, { lineWidth: style.width, crosshairMarkerVisible: false });
    if (style.dashed) options.lineStyle = LineStyle.Dashed;
    const series = this.chart.addSeries(histogram ? HistogramSeries : LineSeries, options, pane);
    const times = this.data.candles;
    series.setData(values.map((value, at) => (value === null ? { time: times[at][0] } : { time: times[at][0], value })));
  }

  // A pattern is the line through its points, with its name where it became known.
  drawPatterns() {
    const shown = this.off.has("patterns") ? [] : this.data.patterns;
    shown.forEach((pattern) => {
      const up = pattern.direction === "up";
      const options = { color: colour(up ? "--up" : "--down"), lineWidth: pattern.family === "shape" ? 2 : 1, priceLineVisible: false };
      if (pattern.family !== "shape") options.lineStyle = LineStyle.Dotted;
      const line = this.chart.addSeries(LineSeries, { ...options, lastValueVisible: false, crosshairMarkerVisible: false });
      line.setData(pattern.points.map(([time, value]) => ({ time, value })));
      const mark = { time: pattern.points.at(-1)[0], position: up ? "belowBar" : "aboveBar", shape: "circle", size: 0.5, color: options.color };
      createSeriesMarkers(line, [{ ...mark, text: pattern.label }]);
    });
    this.area.dataset.patterns = shown.length;
  }

  drawMarkers() {
    const marks = this.data.markers.map((marker) => ({
      time: marker.time,
      position: marker.direction === "up" ? "belowBar" : "aboveBar",
      shape: marker.direction === "up" ? "arrowUp" : "arrowDown",
      color: colour(marker.direction === "up" ? "--up" : "--down"),
      text: marker.mark,
    }));
    createSeriesMarkers(this.candles, marks);
    this.area.dataset.markers = marks.length;
  }

  // A forming or closed minute folded into the last bar of this timeframe.
  update([time, open, high, low, close]) {
    if (!this.candles) return;
    const start = time - (time % (this.data.minutes * 60));
    if (this.last && start < this.last.time) return;
    const same = this.last?.time === start && this.last.open !== undefined;
    this.last = same
      ? { time: start, open: this.last.open, high: Math.max(this.last.high, high), low: Math.min(this.last.low, low), close }
      : { time: start, open, high, low, close };
    this.candles.update(this.last);
    this.area.dataset.last = close;
  }

  // The chart of one signal shows its own minutes: what the market does now is not drawn on it.
  onFrame(frame) {
    if (this.root.dataset.fixed) return;
    if (frame.type === "prices" && frame.forming?.[this.instrument]) this.update(frame.forming[this.instrument]);
    if (frame.type === "candles" || frame.type === "outcomes" || frame.type === "rounds") this.closed(frame);
  }

  closed(frame) {
    const candle = frame.candles?.[this.instrument];
    if (candle) this.update(candle);
    if (frame.close_time) this.root.dataset.asOf = Math.max(Number(this.root.dataset.asOf || 0), frame.close_time);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), Math.max(600, this.fetched + REFRESH_MS - performance.now()));
  }

  toggle(button) {
    if (!button) return;
    const key = button.dataset.indicator;
    if (!this.off.delete(key)) this.off.add(key);
    this.showToggles();
    if (this.data?.candles.length) this.draw();
  }

  showToggles() {
    this.root.querySelectorAll("[data-indicator]").forEach((button) => {
      button.setAttribute("aria-pressed", String(!this.off.has(button.dataset.indicator)));
    });
  }

  key(event) {
    const scale = this.chart?.timeScale();
    const range = scale?.getVisibleLogicalRange();
    if (!range || event.target !== this.area) return;
    const width = range.to - range.from;
    const move = { ArrowLeft: [-width / 8, -width / 8], ArrowRight: [width / 8, width / 8], "+": [width / 8, -width / 8], "-": [-width / 8, width / 8] }[event.key];
    if (!move) return;
    event.preventDefault();
    scale.setVisibleLogicalRange({ from: range.from + move[0], to: range.to + move[1] });
  }

  end() {
    clearTimeout(this.timer);
    this.chart?.remove();
  }
}

let chart = null;

function begin() {
  const root = document.querySelector("[data-chart]");
  if (chart?.root === root) return;
  chart?.end();
  chart = root ? new CandleChart(root) : null;
}

document.addEventListener("candor:frame", (event) => chart?.onFrame(event.detail));
document.addEventListener("htmx:afterSwap", begin);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart?.data && chart.draw());
begin();
