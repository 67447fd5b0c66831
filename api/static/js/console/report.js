// Taking in a report: while the sentence is typed, the page already shows place, grid, post, person and why.
import { $, debounced, facts, fill, h, icon, toast } from "../dom.js";
import { get, latest, post } from "../api.js";
import { pin } from "../ground.js";
import { language, named, t, word } from "../messages.js";
import { moment } from "../times.js";
import { coordinates } from "./coordinates.js";
import { nearRow } from "./near.js";
import { ownerWords } from "./place.js";
import { share, suggestions, told } from "./suggest.js";


export class Report {
  constructor(form, { map, categories, channels, onClose, onSaved, onOpen }) {
    this.form = form;
    Object.assign(this, { map, categories, onClose, onSaved, onOpen });
    this.point = null;
    this.marker = null;
    this.geocode = latest();
    this.route = latest();
    this.near = latest();
    this.caller = latest();
    this.likely = latest();
    this.key = crypto.randomUUID();
    const { channel, category } = form.elements;
    channel.append(...channels.map((entry) => h("option", { value: entry.code, text: named(entry) })));
    $("#category-names").append(...categories.map((entry) => h("option", { value: named(entry), label: entry.code })));
    const callers = debounced(500, () => this.callers());
    const preview = debounced(350, () => this.preview());
    const suggest = debounced(250, () => this.suggest());
    form.addEventListener("input", (event) => {
      if (event.target === form.elements.description) suggest();
      if (event.target === form.elements.phone) callers();
      if (![form.elements.phone, form.elements.name].includes(event.target)) preview();
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); this.save(); });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.save();
    });
    category.addEventListener("change", preview);
    $("[data-unpin]", form).addEventListener("click", () => this.unpin());
    map.on("click", (event) => { if (!form.hidden) this.drop(event.latlng); });
  }

  open() {
    this.form.hidden = false;
    this.map.getContainer().classList.add("aiming");
    this.form.elements.description.focus();
  }

  close() {
    this.form.hidden = true;
    this.map.getContainer().classList.remove("aiming");
    this.unpin(false);
  }

  drop(latlng) {
    this.point = { lon: latlng.lng, lat: latlng.lat };
    this.marker?.remove();
    this.marker = pin(this.map, latlng.lat, latlng.lng, (moved) => this.drop(moved));
    $("[data-unpin]", this.form).hidden = false;
    this.preview();
  }

  unpin(again = true) {
    this.point = null;
    this.marker?.remove();
    this.marker = null;
    $("[data-unpin]", this.form).hidden = true;
    if (again) this.preview();
  }

  category() {
    const text = this.form.elements.category.value.trim();
    return this.categories.find((entry) => named(entry) === text || entry.code === text) || null;
  }

  async suggest() {
    let found;
    try {
      found = await suggestions(this.form.elements.description.value, this.likely);
    } catch {
      return; // more has been typed meanwhile
    }
    const source = (entry) => t(`suggest.source.${entry.source}`);
    fill($("#suggested"), found.map((entry) => h("button", {
      class: "button small-button", type: "button", title: told(entry),
      on: { click: () => { this.form.elements.category.value = named(entry); this.preview(); } },
    }, named(entry), h("span", { class: "muted small", text: ` ${share(entry)} % ${source(entry)}` }))));
  }

  async preview() {
    const box = $("#preview");
    const { address, description } = this.form.elements;
    const text = (address.value || description.value).trim();
    const typed = coordinates(address.value);
    if (typed && this.typed !== address.value) {
      this.typed = address.value; // a pin that is moved afterwards stays where it was put
      this.drop({ lng: typed.lon, lat: typed.lat });
      this.map.setView([typed.lat, typed.lon], Math.max(16, this.map.getZoom()));
      return;
    }
    if (!typed) this.typed = "";
    if (!text && !this.point) { fill(box, h("p", { class: "muted small", text: t("report.preview_empty") })); return; }
    box.setAttribute("aria-busy", "true");
    try {
      const place = this.point || (await this.locate(text));
      if (place.waits) {
        this.doubt(box, place);
        return;
      }
      const way = await this.route("route", { lon: place.lon, lat: place.lat, datum: "wgs84", category: this.category()?.code });
      this.tell(box, place, way);
      this.neighbours(place);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      fill(box, h("p", { class: "note red" }, icon("warning"), h("span", { text: problem.message })));
    } finally {
      box.removeAttribute("aria-busy");
    }
  }

  /** What the words say; a guess that needs a person is not shown as a place. */
  async locate(text) {
    const answer = await this.geocode("geocode", { q: text, owners: true, category: this.category()?.code });
    this.marker?.remove();
    this.marker = null;
    if (answer.lon === null || answer.waits) return { waits: true, reason: answer.reason, candidates: answer.candidates || [] };
    const at = [answer.lat, answer.lon];
    this.marker = pin(this.map, ...at, (moved) => this.drop(moved));
    if (!this.map.getBounds().pad(-0.1).contains(at)) this.map.setView(at, Math.max(16, this.map.getZoom()));
    return { ...answer, label: answer.candidates?.[0]?.label || answer.street || text };
  }

  tell(box, place, way) {
    const person = way.assignee?.name || t("grid.nobody");
    fill(box, facts([
      [t("report.place"), place.label ? `${place.label}（${word("match", place.match)} · ${t("place.confidence", { n: Math.round((place.confidence || 0) * 100) })}）` : t("report.pinned")],
      [t("incident.street"), way.street],
      [t("incident.grid"), way.grid ? `${way.grid.code} ${way.grid.name || ""}` : t("report.no_grid")],
      [t("report.person"), way.post ? `${person}（${word("post", way.post)}）` : t("report.post_by_category")],
    ]), way.reason && h("p", { class: "note small" }, icon("info"), h("span", { text: this.why(place, way) })));
  }

  /** Why: the words' own reason stands in front, instead of the point they led to. */
  why(place, way) {
    if (this.point || !place.reason || way.reasons?.[0]?.code !== "place.point") return way.reason;
    const [, ...rest] = way.reason.split(/；|; /);
    return [place.reason, ...rest].join(language === "zh" ? "；" : "; ");
  }

  /** No sure place: the candidates, each one click from being the pin. */
  doubt(box, { reason, candidates }) {
    fill($("#neighbours"));
    fill(box, h("div", { class: "note amber" }, icon("warning"), h("div", {}, h("p", { text: t("report.no_place") }), h("p", { class: "small", text: reason || "" }))),
      h("ul", {}, candidates.slice(0, 5).map((found) => h("li", {}, h("button", { class: "button quiet start", type: "button", on: { click: () => {
        this.drop({ lat: found.lat, lng: found.lon });
        this.map.setView([found.lat, found.lon], 17);
      } } }, icon("pin"), h("span", { class: "grow" }, h("span", { class: "block", text: `${found.label}（${t("place.confidence", { n: Math.round(found.confidence * 100) })}）` }), ownerWords(found)))))));
  }

  async neighbours(place) {
    const box = $("#neighbours");
    try {
      const q = this.form.elements.description.value.trim().slice(0, 500);
      const items = await this.near("desk/neighbours", { lon: place.lon, lat: place.lat, category: this.category()?.code, q });
      fill(box, items.length && h("div", { class: "note amber near-note" }, h("div", { class: "grow" },
        h("b", { class: "block", text: t("report.near", { n: items.length }) }),
        h("ul", {}, items.slice(0, 4).map((found) => nearRow(found, this.onOpen, this.tooButton(found.number)))))));
    } catch (problem) {
      if (problem.name !== "AbortError") fill(box);
    }
  }

  /** The same thing that is open there already: whoever calls becomes a reporter of it, and nothing new is made. */
  tooButton(number) {
    return h("button", { class: "button", type: "button", dataset: { too: number }, text: t("near.too"), title: t("near.too_hint", { number }), on: { click: async (event) => {
      const button = event.currentTarget;
      const { channel, description, name, phone } = this.form.elements;
      button.disabled = true;
      try {
        await post(`incidents/${encodeURIComponent(number)}/reporters`, { channel: channel.value, description: description.value.trim(),
          name: name.value.trim() || null, phone: phone.value.trim() || null }, { "Idempotency-Key": this.key });
        this.done(t("near.too_done", { number }), number);
      } catch (problem) {
        button.disabled = false;
        toast(problem.message, "red");
      }
    } } });
  }

  /** The form as it was before, for the next call. */
  done(words, number) {
    const { channel } = this.form.elements;
    const kept = channel.value;
    this.key = crypto.randomUUID();
    this.form.reset();
    channel.value = kept;
    for (const part of ["#preview", "#neighbours", "#caller", "#suggested"]) fill($(part));
    toast(words);
    this.onSaved(number);
  }

  /** What this number reported before: the look is kept, so it is asked only for a whole number. */
  async callers() {
    const box = $("#caller");
    const phone = this.form.elements.phone.value.trim();
    if (phone.replace(/\D/g, "").length < 7) { fill(box); return; }
    try {
      const found = await this.caller("callers", { phone });
      fill(box, h("p", { class: "small muted", text: found.length ? t("caller.earlier", { n: found.length }) : t("caller.none") }),
        h("ul", {}, found.slice(0, 3).map((each) => h("li", {}, h("button", { class: "button quiet start wide earlier", type: "button", dataset: { earlier: each.number },
          on: { click: () => this.onOpen(each.number) } },
        h("span", { class: "grow" }, h("span", { class: "block cut small", text: each.description || each.number }),
          h("span", { class: "block small muted", text: `${each.number} · ${moment(each.reported_at)} · ${word("status", each.status)}` })))))));
    } catch (problem) {
      if (problem.name !== "AbortError") fill(box, h("p", { class: "small muted", text: problem.message }));
    }
  }

  async save() {
    const { elements } = this.form;
    const button = $("button[type=submit]", this.form);
    const text = elements.description.value.trim();
    if (!text) { elements.description.setAttribute("aria-invalid", "true"); elements.description.focus(); return; }
    elements.description.removeAttribute("aria-invalid");
    const body = { channel: elements.channel.value, category: this.category()?.code || null, description: text };
    if (elements.address.value.trim()) body.address = elements.address.value.trim();
    if (this.point) body.location = { ...this.point, datum: "wgs84" };
    if (elements.name.value || elements.phone.value) body.reporter = { name: elements.name.value || null, phone: elements.phone.value || null };
    button.disabled = true;
    try {
      // The same key until it is saved: a second press never makes a second incident.
      const incident = await post("incidents", body, { "Idempotency-Key": this.key });
      this.done(t("report.saved", { number: incident.number }), incident.number);
    } catch (problem) {
      toast(problem.message, "red");
      if (problem.field && elements[problem.field]) elements[problem.field].setAttribute("aria-invalid", "true");
    } finally {
      button.disabled = false;
    }
  }
}

export const loadChoices = async () => {
  const [categories, channels] = await Promise.all([get("categories"), get("channels")]);
  return { categories: categories.items || categories, channels: channels.items || channels };
};
