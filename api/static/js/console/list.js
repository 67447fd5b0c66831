// The list beside the map: a listbox whose chosen line is the chosen mark.
import { $, fill, h, icon } from "../dom.js";
import { named, t, word } from "../messages.js";
import { ENDED, lampOf, mark } from "../marks.js";
import { left, moment } from "../times.js";

const GIVEN_UP = new Set(["withdrawn", "returned", "lapsed"]);

export class List {
  constructor({ onChoose, onMore, onRetry, onClear }) {
    this.box = $("#incidents");
    this.head = $("#count");
    this.foot = $("#list-foot");
    Object.assign(this, { onChoose, onMore, onRetry, onClear });
    this.rows = new Map();
    this.chosen = null;
    this.fresh = new Set();
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
      tabindex: "-1", "aria-selected": "false", dataset: { number: incident.number },
      on: { click: () => this.onChoose(incident.number) },
    },
      mark(incident, 20),
      h("div", { class: "grow" },
        h("div", { class: "row" },
          h("b", { class: "grow cut", text: named(incident.category) || t("incident.no_category") }),
          time && h("span", { class: `chip ${lamp}`, text: time })),
        h("p", { class: "cut", text: incident.description || "" }),
        h("p", { class: "cut muted small", text: [incident.segment?.street || incident.address, incident.grid?.name, people].filter(Boolean).join(" · ") }),
        h("p", { class: "row small" },
          h("span", { class: "number muted", text: incident.number }),
          incident.queue
            ? h("span", { class: "chip amber", text: word("queue", incident.queue) })
            : h("span", { class: "chip", text: word("status", incident.status) }),
          h("span", { class: "grow" }),
          h("time", { class: "muted", datetime: incident.reported_at, text: moment(incident.reported_at) }))));
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
    if (event.key === "Enter" || event.key === " ") {
      const number = document.activeElement?.dataset?.number;
      if (number) { event.preventDefault(); this.onChoose(number, { focus: true }); }
    } else if (go !== undefined && rows.length) {
      event.preventDefault();
      this.step(rows[Math.min(rows.length - 1, Math.max(0, go))]);
    }
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
