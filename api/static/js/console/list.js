// The list beside the map: a listbox whose chosen line is the chosen mark.
import { $, fill, h, icon } from "../dom.js";
import { named, t, word } from "../messages.js";
import { ENDED, lampOf, mark } from "../marks.js";
import { left, moment } from "../times.js";
import { draggable } from "./drag.js";

const BADLY_MS = 24 * 3600 * 1000; // overdue by more than a day
const GIVEN_UP = new Set(["withdrawn", "returned", "lapsed"]);

export class List {
  constructor({ onChoose, onMore, onRetry, onClear, onMarked }) {
    this.box = $("#incidents");
    this.head = $("#count");
    this.foot = $("#list-foot");
    Object.assign(this, { onChoose, onMore, onRetry, onClear, onMarked });
    this.rows = new Map();
    this.chosen = null;
    this.fresh = new Set();
    this.items = new Map();
    this.ticked = new Set();
    this.lastTicked = null;
    this.box.addEventListener("keydown", (event) => this.key(event));
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
    this.rows.clear();
    this.head.textContent = t("console.failed");
    fill(this.foot);
    fill(this.box, h("li", { class: "empty", role: "presentation" }, icon("warning"),
      h("p", { text: problem.message }),
      h("button", { class: "button", type: "button", text: t("common.retry"), on: { click: this.onRetry } })));
  }

  show(items, total, { narrowed, least }) {
    this.rows.clear();
    this.items = new Map(items.map((incident) => [incident.number, incident]));
    // What is out of sight is not moved by accident.
    for (const number of this.ticked) if (!this.items.has(number)) this.ticked.delete(number);
    this.onMarked();
    this.head.textContent = t(least ? "console.count_least" : "console.count", { n: total });
    if (!items.length) {
      fill(this.foot);
      fill(this.box, h("li", { class: "empty", role: "presentation" }, icon(narrowed ? "filter" : "tick-circle"),
        h("p", { text: t(narrowed ? "console.none_match" : "console.none") }),
        narrowed && h("button", { class: "button", type: "button", text: t("console.clear"), on: { click: this.onClear } })));
      return;
    }
    const keep = this.box.scrollTop;
    fill(this.box, items.map((incident) => this.row(incident)));
    this.box.scrollTop = keep;
    const rest = total - items.length;
    fill(this.foot, rest > 0 && h("button", { class: "button wide", type: "button", on: { click: this.onMore },
      text: t("console.more", { n: rest }) }));
    this.choose(this.chosen, false);
  }

  row(incident) {
    const lamp = lampOf(incident);
    const people = [...new Set((incident.tasks || []).filter((task) => !GIVEN_UP.has(task.status)).map((task) => task.assignee?.name).filter(Boolean))].join("、");
    const time = ENDED.has(incident.status) || incident.disposed_at ? "" : left(incident.due_at);
    const row = h("li", {
      class: `line ${this.fresh.has(incident.number) ? "fresh" : ""}`, role: "option", id: `row-${incident.number}`,
      tabindex: "-1", "aria-selected": "false", "aria-checked": String(this.ticked.has(incident.number)), dataset: { number: incident.number },
      on: { click: (event) => {
        if (event.shiftKey || event.ctrlKey || event.metaKey || event.target.closest(".tick")) this.tick(incident.number, event.shiftKey);
        else this.onChoose(incident.number);
      }, mousedown: (event) => { if (event.shiftKey) event.preventDefault(); } },
    },
      h("span", { class: "tick", title: t("bulk.mark") }),
      mark(incident, 20),
      h("div", { class: "grow" },
        h("div", { class: "row" },
          h("b", { class: "grow cut", text: named(incident.category) || t("incident.no_category") }),
          time && h("span", { class: `chip ${lamp}${lamp === "red" && Date.now() - new Date(incident.due_at) > BADLY_MS ? " worst" : ""}`, text: time })),
        h("p", { class: "cut", text: incident.description || "" }),
        h("p", { class: "cut muted small", text: [incident.segment?.street || incident.address, incident.grid?.name, people].filter(Boolean).join(" · ") }),
        h("p", { class: "row small" },
          h("span", { class: "number muted", text: incident.number }),
          incident.queue
            ? h("span", { class: "chip amber", text: word("queue", incident.queue) })
            : h("span", { class: "chip", text: word("status", incident.status) }),
          h("span", { class: "grow" }),
          h("time", { class: "muted", datetime: incident.reported_at, text: moment(incident.reported_at) }))));
    draggable(row, () => (this.ticked.has(incident.number) ? [...this.ticked] : [incident.number]));
    this.rows.set(incident.number, row);
    return row;
  }

  choose(number, scroll = true) {
    this.rows.get(this.chosen)?.setAttribute("aria-selected", "false");
    for (const row of this.rows.values()) row.tabIndex = -1;
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
    for (const [number, row] of this.rows) row.setAttribute("aria-checked", String(this.ticked.has(number)));
    this.onMarked();
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
