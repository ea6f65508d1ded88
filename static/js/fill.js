// Fills the slots of an element from a dictionary. It knows no meaning: words come ready from signals/cards.py.

import { timeText } from "./clock.js";

// Elements of `root` that match, without those that belong to a list inside it.
function own(root, selector) {
  return [...root.querySelectorAll(selector)].filter((element) => {
    const list = element.closest("[data-list]");
    return !list || list === root || !root.contains(list) || list === element;
  });
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}

function bind(element, values) {
  for (const pair of element.dataset.bind.split(" ")) {
    const [attribute, name] = pair.split(":");
    element.setAttribute(attribute, values[name] || "");
  }
}

function fillTime(element, seconds) {
  element.dataset.epoch = seconds || 0;
  element.dateTime = seconds ? new Date(seconds * 1000).toISOString() : "";
  element.textContent = timeText(seconds, element.dataset.form);
}

function fillList(list, items) {
  const template = list.querySelector(":scope > template");
  const rows = [...list.children].filter((child) => child !== template);
  items.forEach((item, at) => {
    const row = rows[at] ?? template.content.firstElementChild.cloneNode(true);
    if (!rows[at]) list.append(row);
    fill(row, item);
  });
  rows.slice(items.length).forEach((row) => row.remove());
}

export function fill(root, values) {
  for (const [name, value] of Object.entries(values.attrs ?? {})) root.dataset[name] = value;
  const all = (selector) => (root.matches(selector) ? [root] : []).concat(own(root, selector));
  all("[data-slot]").forEach((element) => say(element, String(values[element.dataset.slot] || "")));
  all("[data-slot-time]").forEach((element) => fillTime(element, values[element.dataset.slotTime]));
  all("[data-show]").forEach((element) => (element.hidden = !values[element.dataset.show]));
  all("[data-bind]").forEach((element) => bind(element, values));
  own(root, "[data-list]").forEach((list) => fillList(list, values[list.dataset.list] ?? []));
}
