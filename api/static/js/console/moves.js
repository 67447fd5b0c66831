// What may be done with the incident now: one button a move; a move that needs a reason or a person asks for it.
import { fill, h, toast } from "../dom.js";
import { get, post } from "../api.js";
import { named, t, word } from "../messages.js";
import { readyReplies, residentWords } from "./ready.js";

// What a move needs is the server's own table, put into the page.
export const NEEDS = JSON.parse(document.getElementById("move-needs")?.textContent || "{}");
const MAIN = ["accept", "file", "dispatch", "check_passed", "close", "send_check", "resume", "grant_extension", "verify_confirmed"];
const DANGER = new Set(["void", "refuse", "decline", "force_close", "check_failed", "reject_result"]);
// The place and the category are set in boxes of their own; photographs are taken on the phone.
const ELSEWHERE = new Set(["set_place", "set_category", "found_and_fixed"]);
const PERSON = ["to", "to_or_unit"];

export function movesBox(incident, { grids, onDone }) {
  const moves = (incident.moves || []).filter((move) => !ELSEWHERE.has(move))
    .sort((a, b) => MAIN.includes(b) - MAIN.includes(a));
  if (!moves.length) return null;
  const place = h("div", { class: "move-form" });
  const buttons = moves.map((move) => h("button", {
    class: `button ${MAIN.includes(move) ? "main" : ""} ${DANGER.has(move) ? "danger" : ""}`, type: "button", dataset: { move },
    text: word("move", move),
    on: { click: (event) => ask(move, event.currentTarget) },
  }));

  function ask(move, button) {
    const needs = new Set(NEEDS[move] || []);
    if (move !== "set_condition") needs.delete("filing_condition"); // filing takes the category's leading condition
    if (!needs.size) { send(move, {}, button); return; }
    const must = needs.has("reason");
    const note = h("textarea", { name: "note", rows: "3", required: must, id: "move-note" });
    const person = PERSON.some((need) => needs.has(need)) ? personChoice(incident, grids) : null;
    const into = needs.has("into") ? h("input", { id: "move-into", required: true, autocomplete: "off" }) : null;
    const until = needs.has("until") ? h("input", { type: "datetime-local", id: "move-until", required: true }) : null;
    const filing = needs.has("filing_condition") ? conditionChoice(incident) : null;
    const condition = needs.has("closing_condition") ? h("input", { id: "move-condition", required: true, value: t("move.condition_usual") }) : null;
    const field = (id, label, control) => control && h("div", {}, h("label", { for: id, text: label }), control);
    const form = h("form", { class: "stack card", on: { submit: (event) => {
      event.preventDefault();
      const extra = { note: note.value.trim() || null };
      if (person) extra.to = person.value;
      if (into) extra.to = into.value.trim();
      if (until) extra.until = new Date(until.value).toISOString();
      if (filing) extra.condition = filing.value;
      if (condition) extra.condition = condition.value.trim();
      send(move, extra, form.querySelector("button"));
    } } },
      h("h3", { text: word("move", move) }),
      field("move-person", t("move.to"), person),
      field("move-into", t("move.into"), into),
      field("move-until", t("move.until"), until),
      field("move-filing", t("move.filing"), filing),
      field("move-condition", t("move.condition"), condition),
      field("move-note", t(must ? "move.reason_hint" : "move.note_hint"), note),
      readyReplies(move, note, incident.category?.code),
      residentWords(incident, move, note),
      h("div", { class: "row" },
        h("button", { class: "button main", type: "submit", text: word("move", move) }),
        h("button", { class: "button", type: "button", text: t("common.cancel"), on: { click: () => { fill(place); button.focus(); } } })));
    fill(place, form);
    (person || into || until || filing || condition || note).focus();
  }

  async function send(move, extra, button) {
    button.disabled = true;
    try {
      await post(`incidents/${encodeURIComponent(incident.number)}/moves`, { move, version: incident.version, ...extra });
      document.activeElement?.blur();
      onDone(t("move.made", { move: word("move", move) }));
    } catch (problem) {
      button.disabled = false;
      toast(problem.message, "red");
      if (problem.status === 409) onDone();
    }
  }

  return h("section", { class: "moves", "aria-label": t("incident.moves") },
    h("div", { class: "row wrap" }, buttons), place);
}

/** The category's other filing conditions, each with its limit; the one it is filed under is told and cannot be chosen. */
function conditionChoice(incident) {
  const now = (incident.reasons || []).find((reason) => reason.code === "limit.of_condition")?.values.condition;
  const choose = h("option", { value: "", text: t("common.loading") });
  const select = h("select", { id: "move-filing", required: true }, choose);
  get(`categories/${encodeURIComponent(incident.category.code)}/conditions`).then((conditions) => {
    choose.textContent = t(conditions.some((each) => each.code !== now) ? "move.choose_condition" : "move.no_other_condition");
    select.append(...conditions.map((each) => {
      const limit = t("clock.limit", { value: each.limit.value, unit: word("unit", each.limit.unit) });
      const told = t("move.condition_with_limit", { name: named(each), limit });
      return h("option", { value: each.code, disabled: each.code === now, text: each.code === now ? t("move.condition_now", { condition: told }) : told });
    }));
  }).catch((problem) => { choose.textContent = problem.message; });
  return select;
}

/** People to choose from: the incident's own grid first, with each one's post. */
export function personChoice(incident, grids) {
  const select = h("select", { id: "move-person", required: true }, h("option", { value: "", text: t("move.choose_person") }));
  const all = [...(grids?.values() || [])].sort((a, b) =>
    (b.code === incident.grid?.code) - (a.code === incident.grid?.code) || a.code.localeCompare(b.code));
  for (const grid of all) {
    const group = h("optgroup", { label: `${grid.code} ${grid.name || ""}` });
    for (const [code, holder] of Object.entries(grid.crew || {})) {
      if (holder && code !== "leader") group.append(h("option", { value: holder.id, text: `${holder.name}（${word("post", code)}）` }));
    }
    select.append(group);
  }
  return select;
}

