// One incident told from top to bottom; the console's panel and the incident's own page both use it.
import { facts, h, icon } from "./dom.js";
import { named, t, word } from "./messages.js";
import { ENDED, lampOf, mark } from "./marks.js";
import { left, moment } from "./times.js";

const WORTH_TELLING_MS = 60000;

export function story(incident, history, { moves = null, place = null } = {}) {
  return [
    heading(incident),
    incident.description ? h("p", { class: "said", text: incident.description }) : null,
    ...warnings(incident),
    reason(incident),
    moves,
    tasks(incident),
    photos(incident),
    where(incident),
    place,
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
      h("span", { class: "muted small", text: t("incident.reported", { at: moment(incident.reported_at), channel: incident.channel?.name || word("channel", incident.channel) }) })));
}

function warnings(incident) {
  return (incident.flags || []).map((flag) => h("p", { class: "note amber" }, icon("warning"), h("span", { text: word("flag", flag) })));
}

function reason(incident) {
  if (!incident.reason) return null;
  return h("div", { class: "note" }, icon("info"),
    h("div", {}, h("b", { class: "block small", text: t("incident.reason") }), h("span", { dataset: { reason: "" }, text: incident.reason })));
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

function photos(incident) {
  if (!incident.evidence?.length) return null;
  return h("section", {}, h("h2", { text: t("incident.photos") }), h("ul", { class: "photos" }, incident.evidence.map((photo) =>
    h("li", {}, photo.media_type?.startsWith("audio/") ? h("audio", { controls: true, preload: "none", src: photo.url }) : h("a", { href: photo.url, target: "_blank", rel: "noopener" },
      h("img", { src: photo.thumbnail_url || photo.url, loading: "lazy", alt: t("incident.photo_alt", { stage: word("stage", photo.stage), number: incident.number }) })),
      h("span", { class: "small", text: `${word("stage", photo.stage)} ${moment(photo.taken_at)}` })))));
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

function timeline(history) {
  if (!history?.length) return null;
  return h("section", {}, h("h2", { text: t("incident.history") }), h("ol", { class: "steps" }, history.map((line, index) =>
    h("li", { class: index === history.length - 1 ? "now" : "done" },
      h("b", { text: word("move", line.move) }), " ", h("span", { class: "chip", text: word("status", line.to_status) }),
      h("p", { class: "small muted", text: [when(line), who(line)].filter(Boolean).join(" · ") }),
      line.detail?.not_counted && h("p", { class: "small muted", text: t("incident.not_counted", { told: moment(line.detail.told_at), why: t(`incident.why_${line.detail.not_counted}`) }) }),
      line.note && h("p", { text: line.note })))));
}
