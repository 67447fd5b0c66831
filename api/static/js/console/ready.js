// Ready-made replies beside a note, and what the reporter will read of it.
import { debounced, fill, h, icon } from "../dom.js";
import { get, latest } from "../api.js";
import { t } from "../messages.js";

let asked = null;
const offered = () => (asked ||= get("ready-replies").catch(() => { asked = null; return []; }));

/** Texts for a move as buttons; one of the incident's category stands before the general ones. */
export function readyReplies(move, note, category = null) {
  const box = h("div", { class: "ready", role: "group", "aria-label": t("ready.title"), hidden: true });
  offered().then((all) => {
    const fit = all.filter((one) => one.move === move && (!one.category || one.category === category))
      .sort((a, b) => Boolean(b.category) - Boolean(a.category));
    box.hidden = !fit.length;
    fill(box, h("span", { class: "small muted", text: t("ready.title") }), fit.map((one) => h("button", {
      class: "button small-button", type: "button", dataset: { ready: one.id }, text: one.words, on: { click: () => put(note, one.words) } })));
  });
  return box;
}

/** Written at the end of what stands there: nothing that somebody typed is lost. */
function put(note, words) {
  const before = note.value.trimEnd();
  note.value = before ? `${before}\n${words}` : words;
  note.dispatchEvent(new Event("input", { bubbles: true }));
  note.focus();
}

/** What the reporter would be sent, renewed while the note is written; nothing for moves that residents do not hear of. */
export function residentWords(incident, move, note) {
  const box = h("div", { class: "note small", hidden: true, "aria-live": "polite", dataset: { residentWords: "" } });
  const ask = latest(); // an answer to words that have changed since comes too late
  const show = debounced(300, async () => {
    try {
      const said = await ask(`incidents/${encodeURIComponent(incident.number)}/resident-words`, { move, note: note.value.trim().slice(0, 1000) });
      box.hidden = !said.title;
      fill(box, icon("person"), h("div", {}, h("b", { class: "block", text: t(said.told ? "ready.resident_reads" : "ready.resident_silent", { n: said.told }) }),
        h("span", { class: "block", text: said.title }), h("span", { class: "block muted", text: said.body })));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      box.hidden = true; // a help: the move itself says what is wrong
    }
  });
  note.addEventListener("input", show);
  show();
  return box;
}
