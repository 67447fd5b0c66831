// Who is on duty now, by grid and post; where they were last and how old that is.
import { debounced, fill, h, icon } from "../dom.js";
import { get } from "../api.js";
import { t, word } from "../messages.js";
import { ageOf, personMark } from "./people.js";

const MOST_GRIDS = 60; // of a large town only so many are drawn: the box above finds the others

export class Duty {
  constructor(box, button, { map, onClose }) {
    this.box = box;
    this.button = button;
    Object.assign(this, { map, onClose });
    this.rows = [];
  }

  async open() {
    this.box.hidden = false;
    this.button?.setAttribute("aria-expanded", "true");
    this.body = h("div", { class: "panel-body stack" });
    this.search = h("input", { type: "search", "aria-label": t("duty.search"), placeholder: t("duty.search"),
      on: { input: debounced(150, () => this.show()) } });
    fill(this.box, h("header", { class: "panel-head" }, h("h2", { text: t("duty.title") }),
      h("button", { class: "button quiet", type: "button", "aria-label": t("common.close"), on: { click: () => this.onClose() } }, icon("close"))),
    h("div", { class: "duty-search" }, this.search), this.body);
    this.search.focus();
    await this.load();
  }

  async load() {
    const bone = h("div", { class: "skeleton" });
    bone.style.height = "220px";
    fill(this.body, bone);
    try {
      this.rows = await get("desk/on-duty");
      this.show();
    } catch (problem) {
      fill(this.body, h("div", { class: "empty" }, icon("warning"), h("p", { text: problem.message }),
        h("button", { class: "button", type: "button", text: t("common.retry"), on: { click: () => this.load() } })));
    }
  }

  show() {
    const words = this.search.value.trim().toLowerCase();
    const fits = (row) => !words || [row.grid, row.grid_name, row.name, row.unit, row.substitute, word("post", row.post)].some((text) => text?.toLowerCase().includes(words));
    const grids = new Map();
    for (const row of this.rows.filter(fits)) {
      if (!grids.has(row.grid)) grids.set(row.grid, []);
      grids.get(row.grid).push(row);
    }
    const there = this.rows.filter((row) => row.there === "on_duty").length;
    const shown = [...grids].slice(0, MOST_GRIDS);
    fill(this.body,
      h("p", { class: "small muted", role: "status", text: t("duty.count", { n: there, all: this.rows.length }) }),
      ...shown.map(([code, rows]) => h("section", { class: "duty-grid" },
        h("h3", { dataset: { give: `grid|${code}`, giveName: `${code} ${rows[0].grid_name || ""}` }, text: `${code} ${rows[0].grid_name || ""}` }), h("ul", {}, rows.map((row) => this.person(row))))),
      grids.size > shown.length && h("p", { class: "muted", text: t("duty.more", { n: grids.size - shown.length }) }),
      !shown.length && h("p", { class: "empty", text: t("duty.none") }));
  }

  person(row) {
    const age = ageOf(row);
    return h("li", { class: "duty-person", dataset: { give: `person|${row.staff_id}`, giveName: `${row.name}（${word("post", row.post)}）` } }, icon(row.post),
      h("div", { class: "grow" },
        h("p", {}, h("b", { text: row.name }), " ", h("span", { class: "muted small", text: word("post", row.post) }), " ",
          h("span", { class: `chip ${row.there === "on_duty" ? "green" : "amber"}`, text: t(`duty.${row.there}`) }),
          row.open_tasks > 0 && h("span", { class: "small muted", text: ` · ${t("duty.tasks", { n: row.open_tasks })}` })),
        row.there !== "on_duty" && h("p", { class: "small", text: row.substitute ? t("duty.substitute", { name: row.substitute }) : t("duty.no_substitute") }),
        h("p", { class: "small muted", text: age === null ? t(row.signed_in_at ? "duty.no_position" : "duty.not_signed_in") : t("duty.position", { n: age }) })),
      age !== null && h("button", { class: "button quiet", type: "button", "aria-label": t("duty.show", { name: row.name }), title: t("duty.show", { name: row.name }),
        dataset: { where: row.staff_id }, on: { click: () => this.where(row) } }, icon("pin")),
      (row.there === "on_duty" ? row.phone : row.substitute_phone || row.phone) && h("a", { class: "button quiet", href: `tel:${row.there === "on_duty" ? row.phone : row.substitute_phone || row.phone}`,
        "aria-label": t("duty.call", { name: row.name }), title: row.phone }, icon("phone")));
  }

  /** Where somebody was last: a mark with the name and the age of the position. */
  where(row) {
    this.mark?.remove();
    this.mark = personMark(row, { permanent: true }).addTo(this.map);
    this.map.setView([row.lat, row.lon], 17);
  }

  close() {
    this.mark?.remove();
    this.box.hidden = true;
    this.button?.setAttribute("aria-expanded", "false");
  }
}
