// Channels: whether a report goes straight to the crew, which datum its points are in, by when the caller is answered.
import { get } from "../api.js";
import { $, fill, h } from "../dom.js";
import { named, t } from "../messages.js";
import { number, save } from "./saving.js";

const DATUMS = ["wgs84", "cgcs2000", "gcj02", "bd09"];

export async function showChannels() {
  const rows = await get("admin/channels");
  fill($("#channel-rows"), rows.map(line));
}

function line(row) {
  const label = (key) => `${t(key)}: ${named(row)}`;
  const trusted = h("input", { type: "checkbox", "aria-label": label("rules.trusted"), checked: row.trusted });
  const datums = DATUMS.includes(row.datum) ? DATUMS : [...DATUMS, row.datum];
  const datum = h("select", { "aria-label": label("rules.datum") },
    datums.map((name) => h("option", { value: name, text: name, selected: name === row.datum })));
  const reply = limit(row, "reply", label("rules.reply"));
  const emergency = limit(row, "reply_emergency", label("rules.reply_emergency"));
  return h("tr", {},
    h("td", {}, h("b", { text: named(row) }), " ", h("span", { class: "muted", text: row.code })),
    h("td", {}, trusted), h("td", {}, datum), h("td", {}, ...reply.parts), h("td", {}, ...emergency.parts),
    h("td", { class: "actions" }, h("button", { class: "button", type: "button", text: t("common.save"),
      "aria-label": `${t("common.save")} ${named(row)}`, on: { click: async () => {
        const body = { trusted: trusted.checked, datum: datum.value, ...reply.read(), ...emergency.read() };
        if (await save("PATCH", `admin/channels/${row.code}`, body)) await showChannels();
      } } })));
}

function limit(row, name, label) {
  const value = h("input", { class: "year", type: "number", min: "0", step: "any", value: row[`${name}_value`] ?? "", "aria-label": label });
  const unit = $("#reply-units").cloneNode(true);
  unit.removeAttribute("id");
  unit.removeAttribute("aria-hidden");
  unit.removeAttribute("tabindex");
  unit.hidden = false;
  unit.setAttribute("aria-label", `${label}, ${t("rules.unit")}`);
  unit.value = row[`${name}_unit`] ?? "";
  return { parts: [value, " ", unit], read: () => ({ [`${name}_value`]: number(value.value), [`${name}_unit`]: unit.value }) };
}
