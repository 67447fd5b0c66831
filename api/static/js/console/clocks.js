// Every clock of one incident with what of it is used; who was told because of them; what was merged into it.
import { h, icon } from "../dom.js";
import { t, word } from "../messages.js";
import { left, moment } from "../times.js";

const minutes = (n) => {
  if (n < 60) return t("time.minutes", { n: Math.round(n) });
  return t("time.hours", { n: Math.floor(n / 60), m: Math.round(n % 60) });
};

/** Where a clock stands: stopped, held up by what, or running with what is left. */
function stands(clock) {
  if (clock.stopped_at) return t("clock.stopped", { at: moment(clock.stopped_at) });
  if (clock.paused_for.length) return t("clock.paused", { why: clock.paused_for.map((why) => word("clock.why", why)).join("、") });
  return clock.due_at ? t("clock.running", { left: left(clock.due_at) }) : "";
}

function clockRow(clock) {
  const share = Math.min(100, Math.round((100 * clock.used_minutes) / Math.max(clock.allowed_minutes, 1e-9)));
  const kind = word("rules.clock", clock.kind);
  const ended = Boolean(clock.stopped_at);
  return h("li", { dataset: { clock: clock.kind } },
    h("p", { class: "row wrap" }, h("b", { text: kind }),
      h("span", { class: "muted small", text: t("clock.limit", { value: clock.value, unit: word("unit", clock.unit) }) }),
      clock.round > 1 && h("span", { class: "chip", text: t("clock.round", { n: clock.round }) }),
      clock.extensions > 0 && h("span", { class: "chip", text: t("clock.extended", { n: clock.extensions }) }),
      clock.governs && h("span", { class: "chip accent", text: t("clock.governs") }),
      h("span", { class: "grow" }),
      h("span", { class: `chip ${ended && clock.lamp !== "red" ? "" : clock.lamp}`, text: stands(clock) })),
    h("meter", { min: 0, max: 100, value: share, low: 80, high: 99.5, optimum: 0, "aria-label": t("clock.used_of", { kind, share }) }),
    h("p", { class: "small muted", text: [
      t("clock.used", { used: minutes(clock.used_minutes), allowed: minutes(clock.allowed_minutes) }),
      t("clock.since", { at: moment(clock.started_at) }),
      clock.due_at && t("clock.due", { at: moment(clock.due_at) }),
      clock.unofficial && t("clock.unofficial"),
    ].filter(Boolean).join(" · ") }));
}

export function clocksBox(incident) {
  if (!incident.clocks?.length) return null;
  return h("section", { class: "clocks", dataset: { clocks: "" } }, h("h2", { text: t("clock.title") }),
    h("ul", {}, incident.clocks.map(clockRow)));
}

/** By which rule whom, when, and for which moment of the clock. */
export function chasesBox(incident) {
  if (!incident.chases?.length) return null;
  return h("details", { class: "told", dataset: { chases: "" } }, h("summary", { text: t("clock.chases", { n: incident.chases.length }) }),
    h("ul", { class: "told-list" }, incident.chases.map((one) => h("li", {},
      h("p", {}, h("b", { text: word("rules.tell", one.tell) }), " ", h("span", { text: word("rules.clock", one.clock) })),
      h("p", { class: "small muted", text: `${moment(one.told_at)} · ${t("clock.occasion", { at: moment(one.occasion_at) })} · ${one.rule}` })))));
}

/** What was merged into it: words and photographs of each. */
export function mergedBox(incident, onOpen) {
  const into = incident.merged_into;
  if (!incident.merged?.length && !into) return null;
  return h("section", { dataset: { merged: "" } }, h("h2", { text: t(into ? "merged.into" : "merged.title", { n: incident.merged.length }) }),
    into && h("button", { class: "button", type: "button", on: { click: () => onOpen(into) } }, icon("back"), into),
    h("ul", { class: "told-list" }, incident.merged.map((part) => h("li", {},
      h("p", { class: "row wrap" }, h("button", { class: "button quiet number", type: "button", dataset: { part: part.number }, text: part.number, on: { click: () => onOpen(part.number) } }),
        h("span", { class: "small muted", text: [word("channel", part.channel), moment(part.reported_at)].join(" · ") })),
      part.description && h("p", { text: part.description }),
      part.evidence.length > 0 && h("ul", { class: "photos" }, part.evidence.map((item) => h("li", {},
        h("a", { href: item.url, target: "_blank", rel: "noopener" }, item.kind === "photo"
          ? h("img", { src: `${item.url}?size=thumbnail`, loading: "lazy", alt: t("incident.photo_alt", { stage: word("stage", item.stage), number: part.number }) })
          : t("merged.file")))))))));
}
