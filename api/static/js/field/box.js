// The outbox as its owner sees it: what waits, and both versions of what clashes.
import { fill, h, icon } from "../dom.js";
import { t, word } from "../messages.js";
import { moment } from "../times.js";

const LAMPS = { conflict: "red", refused: "red", sign_in: "amber", sending: "accent", waiting: "amber" };

function what(item) {
  return item.kind === "photo" ? `${word("move", "evidence")}（${word("stage", item.stage)}）` : word("move", item.move);
}

function state(item) {
  return { waiting: t("field.waiting"), sending: t("field.sending"), sign_in: t("field.sign_in_again"), conflict: t("field.conflict"),
    refused: t("field.refused", { why: item.why || "" }) }[item.state];
}

export function showBox(place, outbox) {
  const rows = outbox.items.map((item) => h("li", { class: "card stack" },
    h("div", { class: "row" }, h("b", { class: "grow", text: what(item) }), h("span", { class: "number muted", text: item.number })),
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
  fill(place, h("h2", { text: t("field.unsent_title") }), h("p", { class: "muted", text: t(outbox.items.length ? "field.unsent_hint" : "field.unsent_none") }),
    h("ul", { class: "stack" }, rows),
    outbox.items.some((item) => item.state === "sign_in") && h("a", { class: "button main big wide", href: "/login?next=/field" }, t("login.title")),
    outbox.items.length > 0 && h("button", { class: "button big wide", type: "button", on: { click: () => outbox.send() } }, icon("upload"), t("field.send_now")));
}
