// One incident beside the map: where it stands, why it is whose, what may be done now, what happened.
import { fill, h, icon, toast } from "../dom.js";
import { get } from "../api.js";
import { story } from "../story.js";
import { toldBox } from "../told.js";
import { movesBox } from "./moves.js";
import { categoryBox, correctCategory } from "./category.js";
import { chasesBox, clocksBox, mergedBox } from "./clocks.js";
import { nearBox, reporterBox } from "./near.js";
import { placeBox } from "./place.js";
import { Presence } from "./presence.js";

export class Panel {
  /** Beside the map, or with `page` as a page of its own; `extra(incident, renew)` gives what stands last. */
  constructor(box, { map, ground, onClose, onChanged, onOpen, page = false, extra = () => null }) {
    this.box = box;
    Object.assign(this, { map, ground, onClose, onChanged, onOpen, page, extra });
    this.presence = new Presence();
    this.categories = [];
    this.number = null;
    this.loosen = () => {};
  }

  async open(number, { focus = false } = {}) {
    this.release();
    this.number = number;
    this.box.hidden = false;
    if (this.box.dataset.number !== number) {
      const bone = h("div", { class: "skeleton" });
      bone.style.height = "220px";
      fill(this.box, this.head(number), h("div", { class: this.body }, bone));
    }
    this.box.dataset.number = number;
    this.presence.enter(number);
    try {
      const [incident, history] = await Promise.all([
        get(`incidents/${encodeURIComponent(number)}`), get(`incidents/${encodeURIComponent(number)}/history`)]);
      if (this.number === number) this.show(incident, history.items || history);
      if (focus) this.box.focus();
      return incident;
    } catch (problem) {
      if (this.number === number) this.fail(number, problem);
      return null;
    }
  }

  get body() {
    return this.page ? "story" : "panel-body stack";
  }

  head(number) {
    if (this.page) return h("p", { class: "number muted", text: number });
    const address = `/console/incidents/${encodeURIComponent(number)}`;
    return h("header", { class: "panel-head" },
      h("a", { class: "number grow", href: address, text: number }),
      h("button", { class: "button quiet", type: "button", "aria-label": this.box.dataset.close, on: { click: () => this.onClose() } }, icon("close")));
  }

  fail(number, problem) {
    fill(this.box, this.head(number), h("div", { class: this.body },
      h("div", { class: "empty" }, icon("warning"), h("p", { text: problem.message }),
        h("button", { class: "button", type: "button", text: this.box.dataset.retry, on: { click: () => this.open(number) } }))));
  }

  show(incident, history) {
    this.release();
    const busy = this.box.querySelector("textarea:focus, input:focus");
    const renew = async (answer) => {
      if (answer) toast(answer);
      const now = await this.open(incident.number);
      this.onChanged(now);
    };
    const place = placeBox(incident, { map: this.map, onDone: renew });
    this.loosen = place.release;
    const needed = place.element?.tagName === "SECTION";
    const body = h("div", { class: this.body }, needed && place.element,
      categoryBox(incident, { categories: this.categories, onDone: renew }),
      ...story(incident, history, { moves: movesBox(incident, { grids: this.ground?.grids, onDone: renew }),
        place: [needed ? null : place.element, correctCategory(incident, { categories: this.categories, onDone: renew })],
        told: [clocksBox(incident), mergedBox(incident, this.onOpen), toldBox(incident.number), chasesBox(incident)] }),
      reporterBox(incident), this.extra(incident, renew));
    (body.querySelector(".said") || body.querySelector("h1")?.parentElement)?.after(nearBox(incident, { onOpen: this.onOpen, onDone: renew }) || "");
    body.prepend(this.presence.box);
    if (busy) return; // never take the words from somebody who is writing
    fill(this.box, this.head(incident.number), body);
  }

  /** Shows what changed elsewhere, unless somebody is writing in the panel. */
  refresh(number) {
    if (number !== this.number || this.box.contains(document.activeElement?.closest("textarea, input, select"))) return;
    this.open(number).then((incident) => { if (this.page) this.onChanged(incident); });
  }

  release() {
    this.loosen();
    this.loosen = () => {};
  }

  close() {
    this.release();
    this.presence.leave();
    this.number = null;
    this.box.hidden = true;
    delete this.box.dataset.number;
  }
}
