// The outbox as its owner sees it: what waits, and both versions of what clashes.
import { fill, h, icon } from "../dom.js";
import { named, t, word } from "../messages.js";
import { moment } from "../times.js";
import { metresApart } from "./order.js";
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

/** What I meant to say, beside the name of the step: my words, my category, where my pin should go. */
function mine(item, { categories, theirs }) {
  const category = item.values?.category && categories.find((one) => one.code === item.values.category);
  return [
    item.note,
    item.values?.category && t("field.conflict_category", { name: category ? named(category) : item.values.category }),
    item.kind === "pin" && pinWords(item, theirs?.location),
  ];
}

function pinWords(item, location) {
  const place = `${item.lon.toFixed(5)}, ${item.lat.toFixed(5)}`;
  return location ? t("field.conflict_pin_apart", { place, m: Math.round(metresApart(item, location)) }) : t("field.conflict_pin", { place });
}

/** Both versions of what clashed: mine as I wrote it, and theirs with who did what, when and in which words. */
function versions(item, categories) {
  const { theirs } = item;
  const words = (list) => list.filter(Boolean).map((text) => h("p", { class: "quoted", text }));
  const who = ({ actor_name, actor }) => actor_name || String(actor).split(":")[1] || word("role", actor);
  return h("div", { class: "stack grow" },
    h("p", { text: item.why }),
    h("div", { dataset: { version: "mine" } }, h("p", { text: t("field.conflict_mine", { move: what(item), at: moment(item.at) }) }), words(mine(item, { categories, theirs }))),
    theirs && h("div", { dataset: { version: "theirs" } },
      h("p", { text: t("field.conflict_theirs", { status: word("status", theirs.status) }) }),
      (theirs.lines || []).map((line) => h("div", {}, h("p", { text: t("field.conflict_line", { who: who(line), move: word("move", line.move), at: moment(line.at) }) }), words([line.note]))),
      words([item.values?.category && theirs.category && t("field.conflict_category", { name: named(theirs.category) })])));
}

export function showBox(place, outbox, categories = []) {
  const waiting = counted(outbox.items);
  const rows = waiting.map((item) => h("li", { class: "card stack" },
    h("div", { class: "row" }, h("b", { class: "grow", text: what(item) }), h("span", { class: "muted small cut", text: about(item) })),
    h("p", { class: "row wrap" }, h("span", { class: `chip ${LAMPS[item.state]}`, text: item.state === "refused" ? t("field.refused", { why: "" }).replace(/[：:]\s*$/, "") : state(item) }),
      h("span", { class: "muted small", text: moment(item.at) })),
    item.state === "refused" && h("p", { text: item.why }),
    item.state === "conflict" && h("div", { class: "note red" }, icon("warning"), versions(item, categories)),
    (item.state === "conflict" || item.state === "refused") && h("div", { class: "two" },
      h("button", { class: "button big", type: "button", dataset: { again: "" }, on: { click: () => outbox.onTop(item) } }, t("field.conflict_again")),
      h("button", { class: "button big danger", type: "button", dataset: { drop: "" }, on: { click: () => confirm(t("field.conflict_sure")) && outbox.giveUp(item) } }, t("field.conflict_drop")))));
  fill(place, h("h2", { text: t("field.unsent_title") }), h("p", { class: "muted", text: t(waiting.length ? "field.unsent_hint" : "field.unsent_none") }),
    h("ul", { class: "stack" }, rows),
    outbox.items.some((item) => item.state === "sign_in") && h("a", { class: "button main big wide", href: "/login?next=/field" }, t("login.title")),
    waiting.length > 0 && h("button", { class: "button big wide", type: "button", on: { click: () => outbox.send() } }, icon("upload"), t("field.send_now")));
}
