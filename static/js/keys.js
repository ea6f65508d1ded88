// Single keys: ? help, / search, g then a letter to go, j and k between cards, Esc. Silent in text fields; can be off.

const PLACES = { b: "/", h: "/history", p: "/patterns", s: "/settings", d: "/disclaimer/" };
const CHAIN_MS = 1_500;

let chained = 0;

function typing(target) {
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function step(by) {
  const stops = [...document.querySelectorAll("[data-stop]")].filter((element) => element.offsetParent);
  if (!stops.length) return;
  const at = stops.findIndex((element) => element === document.activeElement || element.contains(document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : stops.length - 1) : (at + by + stops.length) % stops.length;
  stops[next].focus();
  stops[next].scrollIntoView({ block: "nearest" });
}

function press(event) {
  if (event.key === "Escape") return escape(event);
  if (document.documentElement.dataset.keys === "off") return;
  if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  const going = performance.now() - chained < CHAIN_MS;
  chained = 0;
  if (going && PLACES[event.key]) location.assign(PLACES[event.key]);
  else if (event.key === "g") chained = performance.now();
  else if (event.key === "?") document.getElementById("help").showModal();
  else if (event.key === "/") search(event);
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
}

function escape(event) {
  if (typing(event.target)) event.target.blur();
}

function search(event) {
  const field = document.querySelector("[data-search]");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select?.();
}

export function listenToKeys() {
  document.addEventListener("keydown", press);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) document.getElementById("help").showModal();
    if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  });
}

// Filters rows by their symbol as the reader types.
export function listenToSearch() {
  document.addEventListener("input", (event) => {
    const field = event.target.closest("[data-search]");
    if (!field?.dataset.search) return;
    const wanted = field.value.trim().toLowerCase();
    document.querySelectorAll(field.dataset.search).forEach((row) => {
      row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
    });
  });
}
