// The outbox as its owner sees it: what waits, and both versions of what clashes.
import { fill, h, icon } from "../dom.js";
import { t, word } from "../messages.js";
import { moment } from "../times.js";
import { counted } from "./outbox.js";

const LAMPS = { conflict: "red", refused: "red", sign_in: "amber", sending: "accent", waiting: "amber" };

function what(item) {
  if (item.kind === "photo") return `${word("move", "evidence")} · ${word("stage", item.stage)}`;
  if (item.kind === "move") return word("move", item.move);
  if (item.kind === "shift") return t(item.way === "in" ? "field.shift_in" : "field.shift_out");
  return t({ voice: "field.voice", report: item.fixed ? "field.fixed_report" : "field.new", pin: "field.pin_move" }[item.kind]);
}

const about = (item) => (item.kind === "report" ? item.description : item.kind === "shift" ? "" : item.number);

function state(item) {
  return { waiting: t("field.waiting"), sending: t("field.sending"), sign_in: t("field.sign_in_again"), conflict: t("field.conflict"),
    refused: t("field.refused", { why: item.why || "" }) }[item.state];
}

export function showBox(place, outbox) {
  const waiting = counted(outbox.items);
  const rows = waiting.map((item) => h("li", { class: "card stack" },
    h("div", { class: "row" }, h("b", { class: "grow", text: what(item) }), h("span", { class: "muted small cut", text: about(item) })),
    h("p", { class: "row wrap" }, h("span", { class: `chip ${LAMPS[item.state]}`, text: item.state === "refused" ? t("field.refused", { why: "" }).replace(/[：:]\s*$/, "") : state(item) }),
      h("span", { class: "muted small", text: moment(item.at) })),
    item.state === "refused" && h("p", { text: item.why }),
    item.state === "conflict" && h("div", { class: "note red" }, icon("warning"), h("div", {},
      h("p", { text: item.why }),
      h("p", { text: t("field.conflict_mine", { move: what(item), at: moment(item.at) }) }),
      item.theirs && h("p", { text: t("field.conflict_theirs", { status: word("status", item.theirs.status), line: `${word("move", item.theirs.move)} ${moment(item.theirs.at)}` }) }))),
    (item.state === "conflict" || item.state === "refused") && h("div", { class: "two" },
      h("button", { class: "button big", type: "button", dataset: { again: "" }, on: { click: () => outbox.onTop(item) } }, t("field.conflict_again")),
      h("button", { class: "button big danger", type: "button", dataset: { drop: "" }, on: { click: () => confirm(t("field.conflict_sure")) && outbox.giveUp(item) } }, t("field.conflict_drop")))));
  fill(place, h("h2", { text: t("field.unsent_title") }), h("p", { class: "muted", text: t(waiting.length ? "field.unsent_hint" : "field.unsent_none") }),
    h("ul", { class: "stack" }, rows),
    outbox.items.some((item) => item.state === "sign_in") && h("a", { class: "button main big wide", href: "/login?next=/field" }, t("login.title")),
    waiting.length > 0 && h("button", { class: "button big wide", type: "button", on: { click: () => outbox.send() } }, icon("upload"), t("field.send_now")));
}
