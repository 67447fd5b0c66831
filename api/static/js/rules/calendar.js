// The working calendar of a year: days that differ from their week.
import { call, get } from "../api.js";
import { $, fill, h, toast } from "../dom.js";
import { language, named, t } from "../messages.js";
import { save } from "./saving.js";

const weekday = new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", { weekday: "short", timeZone: "UTC" });
const year = $("#year");

export async function showCalendar() {
  if (!year.checkValidity() || !year.value) return;
  const shown = await get(`admin/calendar/${year.value}`);
  $("#official").checked = shown.official;
  fill($("#day-rows"), shown.days.length ? shown.days.map((row) => h("tr", {},
    h("td", {}, h("b", { text: row.day }), ` ${weekday.format(new Date(`${row.day}T00:00:00Z`))}`),
    h("td", {}, h("span", { class: `chip ${row.is_workday ? "accent" : "green"}`, text: t(row.is_workday ? "rules.workday" : "rules.day_off") })),
    h("td", { text: named(row) }),
    h("td", { class: "actions" }, h("button", { class: "button", type: "button", text: t("rules.remove"),
      "aria-label": `${t("rules.remove")} ${row.day}`, on: { click: () => remove(row.day) } }))))
    : h("tr", {}, h("td", { colspan: 4, class: "muted", text: t("rules.no_days") })));
}

async function remove(day) {
  try {
    await call("DELETE", `admin/calendar/days/${day}`);
    toast(t("admin.saved"));
    document.dispatchEvent(new Event("rules-changed"));
  } catch (problem) {
    toast(problem.message, "red");
  }
  await showCalendar();
}

year.addEventListener("change", showCalendar);
$("#official").addEventListener("change", async (event) => {
  await save("PUT", `admin/calendar/${year.value}`, { official: event.target.checked });
  await showCalendar();
});
$("#day-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { day, is_workday, name_zh, name_en } = Object.fromEntries(new FormData(event.target));
  const body = { is_workday: is_workday === "1", name_zh, name_en };
  if (await save("PUT", `admin/calendar/days/${day}`, body, event.target)) {
    year.value = day.slice(0, 4);
    event.target.reset();
    await showCalendar();
  }
});
