// One change of the administration as a line: what, from what to what, when, by whom, from which moment on.
import { h } from "../dom.js";
import { known, t, word } from "../messages.js";
import { moment } from "../times.js";

const FAMILIES = ["rules", "log", "people", "basemaps", "imports.count"];

function nameOf(field) {
  const family = FAMILIES.find((one) => known(`${one}.${field}`));
  return family ? t(`${family}.${field}`) : field;
}

function valueOf(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (value === true || value === false) return t(value ? "log.yes" : "log.no");
  return Array.isArray(value) ? value.join(", ") || "–" : String(value);
}

const nothing = (value) => value === null || value === "" || (Array.isArray(value) && !value.length);

/** What a side of a change says; of something made or taken away, only what it has. */
const said = (values, whole) => (values === null || values === undefined ? null : Object.entries(values).filter(([field, value]) => field !== "sha256" && !(whole && nothing(value))).map(([field, value]) => `${nameOf(field)}: ${valueOf(value)}`).join(", "));

/** The code as people read it: "G003 cleaner" names its post. */
function codeOf(row) {
  if (row.subject === "import") return word("imports.kind", row.code);
  if (row.subject !== "post") return row.code;
  const [grid, post] = row.code.split(" ");
  return `${grid} ${word("post", post)}`;
}

export const actorOf = (actor) => (actor === "system" && known("log.system") ? t("log.system") : actor.replace("account:", ""));

export function changeLine(row) {
  const whole = !row.before || !row.after;
  const [before, after] = [said(row.before, whole), said(row.after, whole)];
  const change = before !== null && after !== null ? `${before} → ${after}` : after ?? (before !== null ? `${before} → –` : "");
  const later = Math.abs(new Date(row.from) - new Date(row.at)) > 60000;
  return h("li", {},
    h("span", { class: "grow" },
      h("b", { text: `${word("rules.subject", row.subject)} ${codeOf(row)}` }), " ",
      h("span", { text: change }), " ",
      h("span", { class: "muted", text: `${moment(row.at)} ${actorOf(row.actor)}${later ? ` · ${t("rules.from")} ${moment(row.from)}` : ""}` })));
}
