// About me: my shift, my record, what I was told, how I am told, which map app leads me.
import { fill, h, icon, toast } from "../dom.js";
import { named, t, word } from "../messages.js";
import { moment } from "../times.js";
import { APPS, chooseApp, chosenApp } from "./navigate.js";
import { pushOff, pushOn, pushState } from "./push.js";

const OUT_M = 300;

export function shiftCard(shift, onSign) {
  const now = shift.now;
  const far = now.began_m !== undefined && now.began_m > OUT_M;
  return h("section", { class: "card stack", dataset: { shift: now.on_shift ? "on" : "off" } },
    h("h2", { class: "row" }, icon("clock"), h("span", { class: "grow", text: t("field.shift") }), h("span", { class: `chip big ${now.on_shift ? "green" : ""}`, text: t(now.on_shift ? "field.shift_on" : "field.shift_off") })),
    now.on_shift && now.began_at && h("p", { text: t("field.shift_since", { at: moment(now.began_at) }) }),
    now.on_shift && far && h("p", { class: "note amber" }, icon("warning"), h("span", { text: t("field.shift_far", { m: Math.round(now.began_m) }) })),
    now.on_shift && now.segments > 0 && h("div", { class: "stack" }, h("p", { text: t("field.covered", { n: now.covered, all: now.segments, share: Math.round(now.share * 100) }) }),
      h("progress", { max: "1", value: String(now.share), "aria-label": t("field.shift") })),
    h("button", { class: `button big wide ${now.on_shift ? "" : "main"}`, type: "button", dataset: { sign: now.on_shift ? "out" : "in" }, on: { click: (event) => { event.target.disabled = true; onSign(now.on_shift ? "out" : "in"); } } },
      icon(now.on_shift ? "logout" : "check"), t(now.on_shift ? "field.shift_out" : "field.shift_in")),
    h("p", { class: "muted small", text: t("field.shift_privacy") }));
}

function recordCard(record) {
  if (!record) return null;
  const cell = (key, value, lamp = "") => h("div", { class: "figure" }, h("b", { class: lamp, text: String(value) }), h("span", { text: t(key) }));
  return h("section", { class: "card stack", dataset: { record: "" } },
    h("h2", { class: "row" }, icon("list"), t("field.record")),
    h("div", { class: "figures" }, cell("field.record_today", record.done_today), cell("field.record_overdue", record.overdue, record.overdue ? "late" : ""),
      cell("field.record_month", record.done_month), cell("field.record_late", record.late_month)),
    h("h3", { text: t("field.sent_back") }),
    record.sent_back.length ? h("ul", { class: "stack" }, record.sent_back.map((one) => h("li", { class: "note red" }, icon("return"), h("div", {},
      h("b", { class: "block", text: `${named(one)} ${one.number}` }), h("span", { class: "block", text: one.note || "" }), h("span", { class: "muted small", text: `${word("move", one.move)} ${moment(one.at)}` })))))
      : h("p", { class: "muted", text: t("field.sent_back_none") }));
}

function noticesCard(notices, onNumber) {
  return h("section", { class: "card stack", dataset: { notices: "" } },
    h("h2", { class: "row" }, icon("bell"), t("field.notices")),
    notices.length ? h("ul", { class: "stack" }, notices.slice(0, 30).map((one) => h("li", {}, h("button", { class: "button wide said-notice", type: "button", on: { click: () => onNumber(one.number) } },
      h("span", { class: "grow" }, h("span", { class: `block ${one.seen_at ? "" : "unseen"}`, text: one.text }), h("span", { class: "muted small", text: moment(one.made_at) }))))))
      : h("p", { class: "muted", text: t("field.notices_none") }));
}

async function pushCard(account, again) {
  const state = await pushState(account);
  const box = h("section", { class: "card stack", dataset: { push: state } },
    h("h2", { class: "row" }, icon(state === "on" ? "bell" : "bell-off"), t("field.push")),
    h("p", { text: t(`field.push_${state}`) }));
  if (state === "on" || state === "off") {
    box.append(h("button", { class: "button big wide", type: "button", dataset: { act: "push" }, on: { click: async (event) => {
      event.target.disabled = true;
      try {
        await (state === "on" ? pushOff() : pushOn(account));
      } catch (problem) {
        toast(problem.message || t("field.push_failed"), "red");
      }
      await again(); // the card pressed may have been drawn anew meanwhile
    } } }, icon(state === "on" ? "bell-off" : "bell"), t(state === "on" ? "field.push_end" : "field.push_begin")));
  }
  return box;
}

function appCard() {
  const now = chosenApp();
  return h("section", { class: "card stack" }, h("h2", { class: "row" }, icon("way"), t("field.app")),
    h("div", {}, APPS.map((name) => h("label", { class: "choice" }, h("input", { type: "radio", name: "app", value: name, checked: name === now, on: { change: () => chooseApp(name) } }), t(`field.app_${name}`)))));
}

export async function showMine(place, { shift, record, notices, account, onSign, onNumber, again }) {
  const push = await pushCard(account, again);
  fill(place, shiftCard(shift, onSign), recordCard(record), noticesCard(notices, onNumber), push, appCard());
}
