// Times for people: the day when it is not today, and what is left of a limit.
import { language, t } from "./messages.js";

const locale = language === "zh" ? "zh-CN" : "en-GB";
const hour = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric" });
const year = new Intl.DateTimeFormat(locale, { year: "numeric", month: "short", day: "numeric" });

export function moment(text, now = new Date()) {
  if (!text) return "";
  const at = new Date(text);
  if (at.toDateString() === now.toDateString()) return hour.format(at);
  const date = at.getFullYear() === now.getFullYear() ? day : year;
  return `${date.format(at)} ${hour.format(at)}`;
}

function span(minutes) {
  if (minutes < 60) return t("time.minutes", { n: minutes });
  if (minutes < 48 * 60) return t("time.hours", { n: Math.floor(minutes / 60), m: minutes % 60 });
  return t("time.days", { n: Math.floor(minutes / 1440), h: Math.floor((minutes % 1440) / 60) });
}

/** "3 h 20 min left" or "overdue by 1 h"; empty without a limit. */
export function left(due_at, now = new Date()) {
  if (!due_at) return "";
  const minutes = Math.round((new Date(due_at) - now) / 60000);
  return minutes >= 0 ? t("time.left", { span: span(minutes) }) : t("time.over", { span: span(-minutes) });
}
