// The filters of the list and the map: one state, kept in the page's address so that it can be shared.
import { $, $$, h } from "../dom.js";
import { named } from "../messages.js";

const NAMES = ["status", "queue", "category", "grid", "q", "sort"];
const DEFAULTS = { status: "open", sort: "-reported_at" };

export class Filters {
  constructor(form, onChange) {
    this.form = form;
    this.onChange = onChange;
    const address = new URLSearchParams(location.search);
    this.values = { ...DEFAULTS };
    for (const name of NAMES) if (address.has(name)) this.values[name] = address.get(name);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => this.read());
    // The order stands outside the form's box: its events do not pass through the form.
    form.elements.sort.addEventListener("change", () => this.read());
    let timer = 0;
    form.addEventListener("input", (event) => {
      if (event.target.name !== "q") return;
      clearTimeout(timer);
      timer = setTimeout(() => this.read(), 300);
    });
    for (const button of $$("[data-queue]")) {
      button.addEventListener("click", () => this.set({ queue: button.dataset.queue, status: button.dataset.status || "open" }));
    }
    $("[data-clear]")?.addEventListener("click", () => this.set(null));
    this.show();
  }

  fillCategories(categories) {
    const groups = new Map();
    for (const category of categories) {
      const group = category[`class_${document.documentElement.lang.startsWith("zh") ? "zh" : "en"}`];
      if (!groups.has(group)) groups.set(group, h("optgroup", { label: group }));
      groups.get(group).append(h("option", { value: category.code, text: named(category) }));
    }
    this.form.elements.category.append(...groups.values());
    this.show();
  }

  fillGrids(grids) {
    const options = [...grids.values()].sort((a, b) => a.code.localeCompare(b.code))
      .map((grid) => h("option", { value: grid.code, text: `${grid.code} ${grid.name || ""}`.trim() }));
    this.form.elements.grid.append(...options);
    this.show();
  }

  /** Another filter in the place of this one, as one of those that are kept. */
  replace(values) {
    this.values = { ...DEFAULTS, ...Object.fromEntries(NAMES.filter((name) => name in values).map((name) => [name, values[name]])) };
    this.changed();
  }

  read() {
    for (const name of NAMES) {
      const field = this.form.elements[name];
      if (field) this.values[name] = field.value;
    }
    this.changed();
  }

  set(values) {
    this.values = values === null ? { ...DEFAULTS } : { ...this.values, ...values };
    this.show();
    this.changed();
  }

  show() {
    for (const name of NAMES) {
      const field = this.form.elements[name];
      if (field) field.value = this.values[name] || "";
    }
    // What is seen can be taken away: the page of exports knows the same filters.
    for (const link of $$("[data-with-filters]")) link.href = `/exports?${new URLSearchParams({ layer: "incidents", ...this.address() })}`;
    for (const button of $$("[data-queue]")) {
      const same = (this.values.queue || "") === button.dataset.queue && (this.values.status || "") === (button.dataset.status || "open");
      button.setAttribute("aria-pressed", String(same));
    }
  }

  changed() {
    const kept = new URLSearchParams(this.address());
    history.replaceState(null, "", kept.size ? `?${kept}` : location.pathname);
    this.show();
    this.onChange();
  }

  address() {
    return Object.fromEntries(NAMES.map((name) => [name, this.values[name]]).filter(([, value]) => value));
  }

  /** As the interface wants it: "open" is not one state but all that are not ended. */
  query() {
    const { status, queue, ...rest } = this.address();
    const asked = status === "open" ? { ...rest, open: true } : { ...rest, status };
    // "Overdue" is no queue that an incident is put in: it is so from one second to the next.
    return queue === "overdue" ? { ...asked, overdue: true } : { ...asked, queue };
  }

  get narrowed() {
    return NAMES.some((name) => name !== "sort" && (this.values[name] || "") !== (DEFAULTS[name] || ""));
  }
}
