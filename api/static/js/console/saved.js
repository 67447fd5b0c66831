// Filters kept under a name: one click brings them back; one's own can be shared with the role or the desk.
import { fill, h, icon, toast } from "../dom.js";
import { call, get, post } from "../api.js";
import { t } from "../messages.js";

const SHARES = ["nobody", "role", "desk"];

export class Saved {
  constructor(box, filters) {
    this.box = box;
    this.filters = filters;
    this.items = [];
    this.naming = false;
    this.load();
  }

  async load() {
    try {
      this.items = await get("saved-filters");
      this.show();
    } catch (problem) {
      fill(this.box, h("p", { class: "small muted", text: problem.message }));
    }
  }

  show() {
    const now = JSON.stringify(sorted(this.filters.address()));
    fill(this.box, ...this.items.map((item) => this.chip(item, JSON.stringify(sorted(item.query)) === now)),
      !this.naming && this.filters.narrowed && h("button", { class: "button quiet small-button", type: "button", dataset: { save: "" },
        on: { click: () => { this.naming = true; this.show(); this.box.querySelector("input")?.focus(); } } },
      icon("plus"), t("saved.save")),
      this.naming && this.form());
  }

  chip(item, pressed) {
    const owner = item.own ? "" : ` · ${item.owner}`;
    return h("span", { class: "saved-chip" },
      h("button", { class: "button small-button", type: "button", "aria-pressed": String(pressed), dataset: { saved: item.id },
        title: item.own ? t(`saved.shared_${item.shared}`) : t("saved.from", { name: item.owner }),
        text: `${item.name}${owner}`, on: { click: () => this.filters.replace(item.query) } }),
      item.own && h("button", { class: "button quiet small-button", type: "button", "aria-label": t("saved.forget", { name: item.name }),
        on: { click: () => this.forget(item) } }, icon("close")));
  }

  form() {
    const name = h("input", { name: "name", required: true, maxlength: 60, "aria-label": t("saved.name"), placeholder: t("saved.name"), autocomplete: "off" });
    const shared = h("select", { name: "shared", "aria-label": t("saved.share") },
      SHARES.map((value) => h("option", { value, text: t(`saved.shared_${value}`) })));
    return h("form", { class: "save-form", on: { submit: async (event) => {
      event.preventDefault();
      try {
        await post("saved-filters", { name: name.value, shared: shared.value, query: this.filters.address() });
        this.naming = false;
        toast(t("saved.kept", { name: name.value }));
        await this.load();
      } catch (problem) {
        toast(problem.message, "red");
      }
    } } }, name, shared,
      h("button", { class: "button main", type: "submit", text: t("saved.keep") }),
      h("button", { class: "button", type: "button", text: t("common.cancel"), on: { click: () => { this.naming = false; this.show(); } } }));
  }

  async forget(item) {
    try {
      await call("DELETE", `saved-filters/${item.id}`);
      await this.load();
    } catch (problem) {
      toast(problem.message, "red");
    }
  }
}

const sorted = (values) => Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
