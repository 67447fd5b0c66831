// One incident told from top to bottom; the console's panel and the incident's own page both use it.
import { facts, h, icon } from "./dom.js";
import { named, t, word } from "./messages.js";
import { ENDED, lampOf, mark } from "./marks.js";
import { awayWords } from "./away.js";
import { left, moment } from "./times.js";

const WORTH_TELLING_MS = 60000;

export function story(incident, history, { moves = null, place = null, told = null } = {}) {
  return [
    heading(incident),
    incident.description ? h("p", { class: "said", text: incident.description }) : null,
    ...warnings(incident),
    reason(incident, history),
    moves,
    tasks(incident),
    photos(incident),
    where(incident),
    ...[place, told].flat(),
    timeline(history),
  ].filter(Boolean);
}

function heading(incident) {
  const lamp = lampOf(incident);
  const time = ENDED.has(incident.status) || incident.disposed_at ? "" : left(incident.due_at);
  return h("div", { class: "stack tight" },
    h("h1", { class: "row" }, mark(incident, 24), h("span", { class: "grow", text: named(incident.category) || t("incident.no_category") })),
    h("p", { class: "row wrap" },
      h("span", { class: "chip accent", text: word("status", incident.status) }),
      incident.queue && word("queue", incident.queue) !== word("status", incident.status) && h("span", { class: "chip amber", text: word("queue", incident.queue) }),
      time && h("span", { class: `chip ${lamp}` }, icon("clock"), time),
      incident.repeats > 0 && h("span", { class: "chip", dataset: { repeats: "" }, text: t("incident.repeats", { n: incident.repeats }) }),
      h("span", { class: "muted small", text: t("incident.reported", { at: moment(incident.reported_at), channel: incident.channel?.name || word("channel", incident.channel) }) })));
}

function warnings(incident) {
  return (incident.flags || []).map((flag) => h("p", { class: "note amber" }, icon("warning"), h("span", { text: word("flag", flag) })));
}

/** Why it lies where it lies and went to whom it went: from the newest line of the record that decided it. */
function reason(incident, history) {
  const decided = [...(history || [])].reverse().find((line) => line.why);
  const why = decided?.why || incident.reason;
  if (!why) return null;
  return h("div", { class: "note" }, icon("info"),
    h("div", {}, h("b", { class: "block small", text: t("incident.reason") }), h("span", { dataset: { reason: "" }, text: why })));
}

function tasks(incident) {
  if (!incident.tasks?.length) return null;
  return h("section", {}, h("h2", { text: t("incident.tasks") }), h("ul", { class: "tasks" }, incident.tasks.map((task) =>
    h("li", { class: "row" }, icon(task.post),
      h("div", { class: "grow" },
        h("b", { text: task.assignee?.name || t("grid.nobody") }), " ", h("span", { class: "muted", text: word("post", task.post) }),
        h("p", { class: "small muted", text: [
          task.due_at && t("task.due", { at: moment(task.due_at) }),
          task.accepted_at && t("task.accepted", { at: moment(task.accepted_at) }),
          task.done_at && t("task.done", { at: moment(task.done_at) }),
        ].filter(Boolean).join(" · ") })),
      h("span", { class: "chip", text: word("task_status", task.status) })))));
}

/** A photograph as a link to the whole, a clip or a voice note to be played, a document to be kept. */
function piece(item, incident) {
  const name = t("incident.photo_alt", { stage: word("stage", item.stage), number: incident.number });
  if (item.kind === "voice") return h("audio", { controls: true, preload: "none", src: item.url, "aria-label": t("incident.voice") });
  if (item.kind === "video") return h("video", { controls: true, preload: "metadata", src: item.url, "aria-label": t("incident.video") });
  if (item.kind === "document") return h("a", { class: "button", href: item.url, download: true, text: t("incident.document", { kb: Math.ceil(item.size_bytes / 1024) }) });
  return h("a", { href: item.url, target: "_blank", rel: "noopener" }, h("img", { src: item.thumbnail_url || item.url, loading: "lazy", alt: name }));
}

function photos(incident) {
  if (!incident.evidence?.length) return null;
  return h("section", {}, h("h2", { text: t("incident.photos") }), h("ul", { class: "photos" }, incident.evidence.map((photo) =>
    h("li", {}, piece(photo, incident),
      h("span", { class: "small", text: [word("stage", photo.stage), moment(photo.taken_at),
        photo.distance_m !== null && photo.distance_m !== undefined && t("incident.photo_distance", { m: photo.distance_m })]
        .filter(Boolean).join(" · ") })))));
}

function where(incident) {
  const at = incident.location;
  if (!at && !incident.address) return null;
  return h("section", {}, h("h2", { text: t("incident.where") }), facts([
    [t("incident.address"), incident.address],
    [t("incident.street"), incident.segment && [incident.segment.street || t("incident.unnamed_street"), incident.side && word("side", incident.side)].filter(Boolean).join(" · ")],
    [t("incident.grid"), incident.grid && `${incident.grid.code} ${incident.grid.name || ""}`],
    [t("incident.point"), at && `${at.lon.toFixed(6)}, ${at.lat.toFixed(6)}`],
    [t("incident.found_by"), at && [word("match", at.match), t("place.confidence", { n: Math.round((at.confidence || 0) * 100) }),
      at.spread_m ? t("incident.spread", { m: Math.round(at.spread_m) }) : ""].filter(Boolean).join(" · ")],
    [t("incident.datum"), at?.datum && word("datum", at.datum)],
    [t("incident.due"), incident.due_at && moment(incident.due_at)],
  ]));
}

/** A name where there is one; the bare account name, or the kind of doer, otherwise. */
function who(line) {
  if (line.actor_name) return line.actor_name;
  const [kind, name] = String(line.actor).split(":");
  return name || word("role", kind === "anonymous" ? "reporter" : kind);
}

/** A step done without network has two moments: when it was done, which counts, and when it was received. */
function when(line) {
  const done = line.detail?.done_at;
  if (!done || new Date(line.at) - new Date(done) < WORTH_TELLING_MS) return moment(line.at);
  return t("incident.done_received", { done: moment(done), received: moment(line.at) });
}

/** The decision that a line keeps: what was read and found, by which rule who got it, on which ground. */
function decisionBox(line) {
  const made = line.detail?.decision;
  if (!made) return null;
  const read = Object.entries(made.reading || {}).filter(([, value]) => typeof value === "string" && value);
  return h("details", { class: "small" }, h("summary", { text: t("incident.decision") }), facts([
    [t("incident.decision_text"), [made.text.description, made.text.address, made.text.point?.join(", ")].filter(Boolean).join(" · ")],
    [t("incident.decision_reading"), read.map(([name, value]) => `${name}: ${value}`).join(", ")],
    [t("incident.decision_candidates"), made.candidates.length ? String(made.candidates.length) : ""],
    [t("incident.decision_place"), made.place && [made.place.street, made.place.side && word("side", made.place.side),
      `${made.place.distance_m} m`].filter(Boolean).join(" · ")],
    [t("incident.grid"), made.grid],
    [t("incident.decision_rule"), [made.rule.category, made.rule.condition, made.rule.post && word("post", made.rule.post),
      made.rule.by && word("decided", made.rule.by)].filter(Boolean).join(" · ")],
    [t("incident.decision_person"), made.person?.name || made.person?.unit],
    [t("incident.decision_ground"), `${made.ground_version} / ${made.rules_version}`],
    [t("incident.reason"), line.why],
  ]));
}

/** Where a step of the field was made, as far as the reader may know. */
function stepPlace(line) {
  const words = [awayWords(line.detail || {}), line.place && `${line.place.lon.toFixed(5)}, ${line.place.lat.toFixed(5)}`].filter(Boolean);
  return words.length > 0 && h("p", { class: "small muted", dataset: { away: "" }, text: words.join(" · ") });
}

function timeline(history) {
  if (!history?.length) return null;
  return h("section", {}, h("h2", { text: t("incident.history") }), h("ol", { class: "steps" }, history.map((line, index) =>
    h("li", { class: index === history.length - 1 ? "now" : "done" },
      h("b", { text: word("move", line.move) }), " ", h("span", { class: "chip", text: word("status", line.to_status) }),
      h("p", { class: "small muted", text: [when(line), who(line)].filter(Boolean).join(" · ") }),
      stepPlace(line),
      line.detail?.not_counted && h("p", { class: "small muted", text: t("incident.not_counted", { told: moment(line.detail.told_at), why: t(`incident.why_${line.detail.not_counted}`) }) }),
      line.note && h("p", { text: line.note }), decisionBox(line)))));
}
