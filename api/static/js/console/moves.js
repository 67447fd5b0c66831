// What may be done with the incident now: one button a move; a move that needs a reason or a person asks for it.
import { fill, h, toast } from "../dom.js";
import { post } from "../api.js";
import { t, word } from "../messages.js";

const MAIN = new Set(["accept", "file", "dispatch", "check_passed", "pass_check", "close", "start", "submit", "send_check", "resume"]);
const DANGER = new Set(["void", "refuse", "decline", "force_close"]);
const NEED_NOTE = new Set(["return", "refuse", "decline", "void", "check_failed", "fail_check", "force_close", "suspend", "hand_back",
  "rework", "not_content", "reassign"]);
const NEED_PERSON = new Set(["dispatch", "reassign", "assign"]);

export function movesBox(incident, { grids, onDone }) {
  const moves = incident.moves || [];
  if (!moves.length) return null;
  const place = h("div", { class: "move-form" });
  const buttons = moves.map((move) => h("button", {
    class: `button ${MAIN.has(move) ? "main" : ""} ${DANGER.has(move) ? "danger" : ""}`, type: "button", dataset: { move },
    text: word("move", move),
    on: { click: (event) => ask(move, event.currentTarget) },
  }));

  function ask(move, button) {
    if (!NEED_NOTE.has(move) && !NEED_PERSON.has(move) && move !== "suspend") { send(move, {}, button); return; }
    const note = h("textarea", { name: "note", rows: "3", required: NEED_NOTE.has(move), id: "move-note" });
    const person = NEED_PERSON.has(move) ? personChoice(incident, grids) : null;
    const until = move === "suspend" ? h("input", { type: "datetime-local", name: "until", required: true, id: "move-until" }) : null;
    const form = h("form", { class: "stack card", on: { submit: (event) => {
      event.preventDefault();
      const extra = { note: note.value.trim() || null };
      if (person?.value) extra.to = person.value;
      if (until?.value) extra.until = new Date(until.value).toISOString();
      send(move, extra, form.querySelector("button"));
    } } },
      h("h3", { text: word("move", move) }),
      person && h("div", {}, h("label", { for: "move-person", text: t("move.to") }), person),
      until && h("div", {}, h("label", { for: "move-until", text: t("move.until") }), until),
      h("div", {}, h("label", { for: "move-note", text: t(NEED_NOTE.has(move) ? "move.reason_hint" : "move.note_hint") }), note),
      h("div", { class: "row" },
        h("button", { class: "button main", type: "submit", text: word("move", move) }),
        h("button", { class: "button", type: "button", text: t("common.cancel"), on: { click: () => { fill(place); button.focus(); } } })));
    fill(place, form);
    (person || note).focus();
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

/** People to choose from: the incident's own grid first, with each one's post. */
function personChoice(incident, grids) {
  const select = h("select", { id: "move-person", name: "to" }, h("option", { value: "", text: t("move.by_rule") }));
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

