// The list beside the map: a listbox whose chosen line is the chosen mark.
import { $, fill, h, icon } from "../dom.js";
import { named, t, word } from "../messages.js";
import { ENDED, badly, lampOf, mark } from "../marks.js";
import { left, moment } from "../times.js";
import { draggable } from "./drag.js";

const GIVEN_UP = new Set(["withdrawn", "returned", "lapsed"]);

export class List {
  constructor({ onChoose, onMore, onRetry, onClear, onMarked }) {
    this.box = $("#incidents");
    this.head = $("#count");
    this.foot = $("#list-foot");
    Object.assign(this, { onChoose, onMore, onRetry, onClear, onMarked });
    // The first rows have come with the page (console_rows.html): what is done to a row is heard by the list.
    this.rows = new Map([...this.box.children].map((row) => [row.dataset.number, row]));
    this.shown = new Map(); // number → what its row shows
    this.chosen = null;
    this.fresh = new Set();
    this.items = new Map();
    this.ticked = new Set();
    this.lastTicked = null;
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("mousedown", (event) => { if (event.shiftKey) event.preventDefault(); });
    this.box.addEventListener("click", (event) => {
      const number = event.target.closest(".line")?.dataset.number;
      if (!number) return;
      if (event.shiftKey || event.ctrlKey || event.metaKey || event.target.closest(".tick")) this.tick(number, event.shiftKey);
      else this.onChoose(number);
    });
    for (const [number, row] of this.rows) this.dragged(row, number);
  }

  waiting() {
    if (this.rows.size) return;
    fill(this.box, Array.from({ length: 7 }, () => {
      const bone = h("li", { class: "skeleton", role: "presentation" });
      bone.style.height = "84px";
      bone.style.margin = "8px 14px";
      return bone;
    }));
    this.head.textContent = t("console.loading");
  }

  failed(problem) {
    this.box.setAttribute("aria-busy", "false");
    this.rows.clear();
    this.shown.clear();
    this.head.textContent = t("console.failed");
    fill(this.foot);
    this.choosable(false);
    fill(this.box, h("li", { class: "empty" }, icon("warning"),
      h("p", { text: problem.message }),
      h("button", { class: "button", type: "button", text: t("common.retry"), on: { click: this.onRetry } })));
  }

  /** A list box holds what can be chosen and nothing else: a sentence with a button makes it a plain list. */
  choosable(rows) {
    for (const [name, value] of [["role", "listbox"], ["aria-multiselectable", "true"]]) {
      if (rows) this.box.setAttribute(name, value);
      else this.box.removeAttribute(name);
    }
    if (!rows) this.box.removeAttribute("aria-activedescendant");
  }

  show(items, total, { narrowed, least }) {
    this.box.setAttribute("aria-busy", "false");
    const before = this.rows;
    this.rows = new Map();
    this.items = new Map(items.map((incident) => [incident.number, incident]));
    // What is out of sight is not moved by accident.
    for (const number of this.ticked) if (!this.items.has(number)) this.ticked.delete(number);
    this.onMarked();
    this.head.textContent = t(least ? "console.count_least" : "console.count", { n: total });
    if (!items.length) {
      this.shown.clear();
      fill(this.foot);
      this.choosable(false);
      fill(this.box, h("li", { class: "empty" }, icon(narrowed ? "filter" : "tick-circle"),
        h("p", { text: t(narrowed ? "console.none_match" : "console.none") }),
        narrowed && h("button", { class: "button", type: "button", text: t("console.clear"), on: { click: this.onClear } })));
      return;
    }
    this.choosable(true);
    const keep = this.box.scrollTop;
    // A row that shows the same stays the same element, with the focus that it may have.
    const shown = new Map();
    for (const incident of items) {
      const { number } = incident;
      const look = this.look(incident);
      const words = JSON.stringify(look);
      shown.set(number, words);
      this.rows.set(number, this.shown.get(number) === words ? before.get(number) : this.row(number, look));
    }
    this.shown = shown;
    if (this.box.children.length !== this.rows.size || [...this.rows.values()].some((row, i) => this.box.children[i] !== row)) {
      const focused = before.size && this.box.contains(document.activeElement) ? document.activeElement.dataset?.number : null;
      fill(this.box, [...this.rows.values()]);
      if (focused && !this.box.contains(document.activeElement)) this.rows.get(focused)?.focus({ preventScroll: true });
    }
    this.paintTicks();
    this.box.scrollTop = keep;
    const rest = total - items.length;
    fill(this.foot, rest > 0 && h("button", { class: "button wide", type: "button", on: { click: this.onMore },
      text: t("console.more", { n: rest }) }));
    this.choose(this.chosen, false);
  }

  /** All that a row shows. */
  look(incident) {
    const lamp = lampOf(incident);
    const time = ENDED.has(incident.status) || incident.disposed_at ? "" : left(incident.due_at);
    const people = [...new Set((incident.tasks || []).filter((task) => !GIVEN_UP.has(task.status)).map((task) => task.assignee?.name).filter(Boolean))].join("、");
    return {
      status: incident.status, lamp, time, fresh: this.fresh.has(incident.number),
      worst: badly(incident),
      category: named(incident.category) || t("incident.no_category"), description: incident.description || "",
      where: [incident.segment?.street || incident.address, incident.grid?.name, people].filter(Boolean).join(" · "),
      chip: incident.queue ? word("queue", incident.queue) : word("status", incident.status), waits: Boolean(incident.queue),
      reported_at: incident.reported_at, reported: moment(incident.reported_at),
    };
  }

  row(number, look) {
    const row = h("li", {
      class: `line ${look.fresh ? "fresh" : ""}`, role: "option", id: `row-${number}`,
      tabindex: "-1", "aria-selected": "false", "aria-checked": "false", dataset: { number },
    },
      h("span", { class: "tick", title: t("bulk.mark") }),
      mark({ status: look.status, lamp: look.lamp, worst: look.worst }, 20),
      h("div", { class: "grow" },
        h("div", { class: "row" },
          h("b", { class: "grow cut", text: look.category }),
          look.time && h("span", { class: `chip ${look.lamp}${look.worst ? " worst" : ""}`, text: look.time })),
        h("p", { class: "cut", text: look.description }),
        h("p", { class: "cut muted small", text: look.where }),
        h("p", { class: "row small" },
          h("span", { class: "number muted", text: number }),
          h("span", { class: look.waits ? "chip amber" : "chip", text: look.chip }),
          h("span", { class: "grow" }),
          h("time", { class: "muted", datetime: look.reported_at, text: look.reported }))));
    return this.dragged(row, number);
  }

  dragged(row, number) {
    draggable(row, () => (this.ticked.has(number) ? [...this.ticked] : [number]));
    return row;
  }

  choose(number, scroll = true) {
    for (const row of this.rows.values()) {
      row.setAttribute("aria-selected", "false");
      row.tabIndex = -1;
    }
    this.chosen = number;
    const row = this.rows.get(number) || this.rows.values().next().value;
    if (row) row.tabIndex = 0;
    if (!this.rows.has(number)) return;
    row.setAttribute("aria-selected", "true");
    this.box.setAttribute("aria-activedescendant", row.id);
    if (scroll) row.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const rows = [...this.rows.values()];
    const here = Math.max(0, rows.indexOf(document.activeElement));
    const go = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: rows.length - 1, PageDown: here + 8, PageUp: here - 8 }[event.key];
    if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      for (const number of this.items.keys()) this.ticked.add(number);
      this.paint();
    } else if (event.key === "Enter" || event.key === " ") {
      const number = document.activeElement?.dataset?.number;
      if (number) { event.preventDefault(); this.onChoose(number, { focus: true }); }
    } else if (go !== undefined && rows.length) {
      event.preventDefault();
      this.step(rows[Math.min(rows.length - 1, Math.max(0, go))]);
    }
  }

  /** Marks one, or with `range` all from the one marked before. */
  tick(number, range = false) {
    const numbers = [...this.rows.keys()];
    if (range && this.lastTicked && this.rows.has(this.lastTicked)) {
      const [from, to] = [numbers.indexOf(this.lastTicked), numbers.indexOf(number)].sort((a, b) => a - b);
      for (const each of numbers.slice(from, to + 1)) this.ticked.add(each);
    } else if (!this.ticked.delete(number)) {
      this.ticked.add(number);
    }
    this.lastTicked = number;
    this.paint();
  }

  /** Marks these and no others. */
  mark(numbers) {
    this.ticked = new Set(numbers);
    this.paint();
  }

  unmark(numbers = [...this.ticked]) {
    for (const number of numbers) this.ticked.delete(number);
    this.paint();
  }

  marked() {
    return [...this.ticked].map((number) => this.items.get(number)).filter(Boolean);
  }

  paint() {
    this.paintTicks();
    this.onMarked();
  }

  paintTicks() {
    for (const [number, row] of this.rows) row.setAttribute("aria-checked", String(this.ticked.has(number)));
  }

  step(row) {
    row.tabIndex = 0;
    row.focus();
    this.onChoose(row.dataset.number, { follow: true });
  }

  move(by) {
    const rows = [...this.rows.values()];
    if (!rows.length) return;
    const here = rows.findIndex((row) => row.dataset.number === this.chosen);
    this.step(rows[Math.min(rows.length - 1, Math.max(0, here + by))]);
  }
}
