// The field worker's phone: my tasks, my grids on the map, everything usable without network.
import "../page.js";
import { $, $$, fill, h, icon, toast } from "../dom.js";
import { get, post } from "../api.js";
import { t } from "../messages.js";
import { moment } from "../times.js";
import { keep, kept } from "./store.js";
import { hear } from "./clock.js";
import { counted, Outbox } from "./outbox.js";
import { byDue, moveInOwn, own, shortWay } from "./order.js";
import { card, isOver, isTask, withOutbox } from "./tasks.js";
import { FieldMap } from "./map.js";
import { endStrangersPush } from "./push.js";
import { Shift } from "./shift.js";
import { sheet } from "./sheet.js";
import { reportSheet } from "./report.js";
import { showBox } from "./box.js";
import { showMine } from "./mine.js";

const REFRESH_MS = 60000;
const SORTS = ["due", "near", "own"];
const { account, username, post: myPost } = document.body.dataset;
// A position older than this at pressing is not where one is.
const FRESH_MS = 300000;
// Steps made at the spot carry their place, like photographs; any other does on a shift only.
const AT_THE_SPOT = new Set(["arrive", "finish_task", "check_passed", "check_failed", "verify_confirmed", "verify_denied"]);
let desk = { tasks: [], checks: [], record: null, shift: { on_shift: false }, colleagues: [] };
let categories = [];
let replies = [];
let notices = [];
let me = null;
let opened = null;
let by = SORTS.includes(localStorage.getItem("gridward_field_by")) ? localStorage.getItem("gridward_field_by") : "due";
let updated_at = null;
let problem_shown = null;

const outbox = new Outbox({
  account: Number(account), username,
  onChange: (items) => { count(items); draw(); if (!$("#box").hidden) showBox($("#box"), outbox, categories); },
  onSent: () => refreshSoon(),
  renew: renewToken,
});
const shift = new Shift(outbox);
const field = new FieldMap(account);

/** The page may come from the phone's own copy: its token is then of an earlier session. */
async function renewToken() {
  const answer = await fetch("/field");
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (fresh.body.dataset.account !== account) return false;
  $('meta[name="csrf-token"]').content = fresh.querySelector('meta[name="csrf-token"]').content;
  return true;
}

function count(items) {
  const pill = $("#unsent");
  const waiting = counted(items);
  pill.classList.toggle("amber", waiting.length > 0);
  pill.classList.toggle("red", waiting.some((item) => item.state === "conflict" || item.state === "refused"));
  $(".text", pill).textContent = t("field.unsent", { n: waiting.length });
  pill.hidden = waiting.length === 0;
}

let timer = 0;
function refreshSoon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 300);
}

async function refresh() {
  try {
    const asked_ms = Date.now();
    desk = await get("field/desk");
    hear(desk.at, asked_ms);
    updated_at = new Date().toISOString();
    problem_shown = null;
    await keep(`desk:${account}`, { desk, updated_at });
    fetchPictures();
  } catch (problem) {
    await begun;
    problem_shown = problem;
  }
  shift.known = desk.shift;
  draw();
  await readNotices();
}

/** What the phone kept is there at once; the network brings what has changed since. */
async function showKept() {
  const before = await kept(`desk:${account}`).catch(() => null);
  if (!before || updated_at) return;
  ({ desk, updated_at } = before);
  shift.known = desk.shift;
  draw();
}

/** The small pictures of my tasks come along before they are asked for: there may be no network then. */
const fetched = new Set();
function fetchPictures() {
  for (const { incident } of [...desk.tasks, ...desk.checks]) {
    for (const { thumbnail_url } of incident.evidence || []) {
      if (!thumbnail_url || fetched.has(thumbnail_url) || !navigator.serviceWorker?.controller) continue;
      fetched.add(thumbnail_url);
      fetch(thumbnail_url).catch(() => fetched.delete(thumbnail_url));
    }
  }
}

async function readNotices() {
  notices = await get("me/notices", { most: 30 }).catch(() => null) || notices;
  const unseen = notices.filter((one) => !one.seen_at).length;
  const badge = $("#news");
  badge.hidden = unseen === 0;
  badge.textContent = unseen > 99 ? "99+" : String(unseen);
  if (unseen) navigator.setAppBadge?.(unseen).catch(() => {});
  else navigator.clearAppBadge?.().catch(() => {});
  if (document.body.dataset.view === "mine") drawMine();
}

/** On a shared phone the one before leaves nothing to see behind. */
async function clearStrangers() {
  if (localStorage.getItem("gridward_field_last") !== account) {
    await caches?.delete("gridward-pictures");
    localStorage.setItem("gridward_field_last", account);
  }
  await endStrangersPush(account);
}

/** What changes seldom: asked for once, and kept for the time without network. */
async function readLists() {
  const own = `replies:${account}:${document.documentElement.lang}`;
  categories = (await kept("categories").catch(() => null)) || [];
  replies = (await kept(own).catch(() => null)) || [];
  try {
    categories = await get("categories");
    await keep("categories", categories);
    replies = await get("ready-replies");
    await keep(own, replies);
  } catch {
    // those kept before will do
  }
  if (!opened || $("#said > *")) return;
  const wide = $("details.more")?.open; // the task on the screen offers what has come only now
  openTask(opened);
  if (wide) $("details.more").open = true;
}

function sorted(list) {
  if (by === "own") return own(account, list);
  return by === "near" && me ? shortWay(me, byDue(list)) : byDue(list);
}

/** Checks are many and change hands: they are put in order by limit or by way, not by hand. */
const sortedChecks = (list) => (by === "own" ? byDue(list) : sorted(list));

function lines(list, movable) {
  return h("ul", { class: "cards" }, list.map((task) => h("li", { class: movable ? "movable" : "" }, card(task, me, openTask),
    movable && h("span", { class: "movers" }, ["up", "down"].map((way) => h("button", { class: "button", type: "button", "aria-label": t(`field.move_${way}`), dataset: { move: way },
      on: { click: () => { moveInOwn(account, list, task.id, way === "up" ? -1 : 1); draw(); } } }, way === "up" ? "↑" : "↓"))))));
}

function draw() {
  const shown = desk.tasks.map((task) => withOutbox(task, outbox.items));
  const checks = desk.checks.map((check) => withOutbox(check, outbox.items));
  const open = sorted(shown.filter((task) => !isOver(task) && task.status !== "waiting" && !task.taken_by));
  const taken = shown.filter((task) => task.taken_by);
  const waiting = shown.filter((task) => task.status === "waiting");
  const over = shown.filter((task) => isOver(task) && task.status !== "withdrawn");
  const reports = outbox.items.filter((item) => item.kind === "report");
  const body = [];
  if (problem_shown?.isLine) body.push(h("p", { class: "note amber" }, icon("offline"), h("span", { text: updated_at ? t("field.kept", { at: moment(updated_at) }) : t("field.offline") })));
  else if (problem_shown) body.push(h("p", { class: "note red" }, icon("warning"), h("span", { text: problem_shown.message })));
  if (updated_at && !shift.now.on_shift) body.push(h("button", { class: "button big wide signin", type: "button", dataset: { shiftHint: "" }, on: { click: () => view("mine") } }, icon("clock"), t("field.shift_hint")));
  if (!updated_at && !problem_shown) body.push(h("p", { class: "row muted" }, h("span", { class: "spinner" }), t("field.loading")));
  else if (!open.length && !checks.length) body.push(h("div", { class: "empty" }, icon("tick-circle"), h("p", { text: t("field.none") }), h("p", { class: "small", text: t("field.none_hint") })));
  body.push(lines(open, by === "own" && open.length > 1));
  if (checks.length) body.push(h("h2", { text: t("field.checks") }), lines(sortedChecks(checks.filter((check) => !isOver(check)))),
    desk.checks_total > checks.length && h("p", { class: "note", dataset: { cut: "" } }, icon("info"), h("span", { text: t("field.checks_cut", { n: checks.length, all: desk.checks_total }) })));
  if (reports.length) body.push(h("h2", { text: t("field.new_waiting") }), h("ul", { class: "cards" }, reports.map((item) => h("li", { class: "card row" }, h("span", { class: "grow two-lines", text: item.description }), h("span", { class: "chip amber", text: t("field.waiting") })))));
  if (waiting.length) body.push(h("h2", { text: t("field.waiting_tasks") }), lines(waiting));
  if (taken.length) body.push(h("h2", { text: t("field.taken") }), lines(taken));
  if (over.length) body.push(h("h2", { text: t("field.done_today") }), lines(over));
  if (updated_at && !problem_shown) body.push(h("p", { class: "muted small centre", text: t("field.updated", { at: moment(updated_at) }) }));
  fill($("#tasks"), body);
  field.pins([...open, ...checks.filter((check) => !isOver(check))], openTask);
  if (document.body.dataset.view === "mine") drawMine();
  if (opened && !$("#said > *") && !$("details.more[open]")) {
    const now = [...shown, ...checks].find((task) => (isTask(opened) ? task.id === opened.id : !isTask(task) && task.incident.number === opened.incident.number));
    if (now && (now.status !== opened.status || now.unsent !== opened.unsent || now.incident.version !== opened.incident.version || now.incident.evidence?.length !== opened.incident.evidence?.length || now.extension?.move !== opened.extension?.move)) openTask(now);
  }
}

/** The step with the place it was made at, as far as the phone knows it now and may tell it. */
function placed(item) {
  if (item.kind !== "move" || !me || Date.now() - me.at_ms > FRESH_MS) return item;
  if (!shift.now.on_shift && !AT_THE_SPOT.has(item.move)) return item;
  return { ...item, lon: me.lon, lat: me.lat, accuracy_m: Math.round(me.accuracy_m || 0) };
}

async function act(items) {
  try {
    if (me) shift.mark(me);
    await outbox.add(items.map(placed));
    toast(t(navigator.onLine ? "field.saved" : "field.saved_offline"));
  } catch {
    toast(t("field.storage_failed"), "red");
    throw new Error("not kept");
  }
}

/** The map to point at a place; what is being written stays as it is behind it. */
async function aim(from) {
  const before = document.body.dataset.view;
  $("#sheet").hidden = true;
  view("map");
  const at = await field.aim(from);
  view(before);
  $("#sheet").hidden = false;
  return at;
}

function openTask(task) {
  const again = opened && !$("#sheet").hidden;
  opened = task;
  const box = $("#sheet");
  sheet(box, task, {
    me, act, aim, categories, replies: () => replies, colleagues: desk.colleagues || [], onClose: closeSheet,
    onMap: () => { closeSheet(); view("map"); field.show(task); },
  });
  showSheet(box, t("incident.title"));
  if (!again) box.scrollTop = 0;
}

function openReport() {
  reportSheet($("#sheet"), { me, post: myPost, categories, act, aim, onClose: closeSheet });
  showSheet($("#sheet"), t("field.new"));
  $("#sheet").scrollTop = 0;
}

function showSheet(box, name) {
  box.setAttribute("aria-label", name);
  if (!box.hidden) return;
  box.hidden = false;
  history.pushState({ sheet: true }, "");
  box.focus();
}

function closeSheet() {
  if ($("#sheet").hidden) return;
  if (history.state?.sheet) history.back();
  else hideSheet();
}

function hideSheet() {
  const number = opened?.incident.number;
  opened = null;
  $("#sheet").hidden = true;
  fill($("#sheet"));
  $(`#tasks [data-number="${number}"]`)?.focus({ preventScroll: true });
}
addEventListener("popstate", () => (field.aiming ? field.endAim(null) : hideSheet()));

async function onSign(way) {
  try {
    await shift.sign(way, me);
    if (me) shift.seen(me); // the way begins where one signs in
    toast(t(navigator.onLine ? "field.saved" : "field.saved_offline"));
  } catch {
    toast(t("field.storage_failed"), "red");
  }
}

function onNumber(number) {
  const found = [...desk.tasks, ...desk.checks].find((task) => task.incident.number === number);
  if (found) openTask(withOutbox(found, outbox.items));
  else toast(t("field.gone"));
}

const drawMine = () => showMine($("#mine-view"), { shift, record: desk.record, notices, account, onSign, onNumber, again: drawMine });

async function seeNotices() {
  const ids = notices.filter((one) => !one.seen_at).map((one) => one.id);
  if (!ids.length) return;
  await post("me/notices/seen", { ids }).then(() => { $("#news").hidden = true; navigator.clearAppBadge?.().catch(() => {}); }, () => {});
}

function view(name) {
  document.body.dataset.view = name;
  $("#box").hidden = name !== "box";
  for (const button of $$(".tabs [data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === name));
  if (name === "map") field.open(desk.tasks);
  if (name === "box") showBox($("#box"), outbox, categories);
  if (name === "mine") { drawMine(); seeNotices(); }
}

function watch() {
  if (!navigator.geolocation) return;
  navigator.geolocation.watchPosition(({ coords }) => {
    const first = !me;
    me = { lon: coords.longitude, lat: coords.latitude, accuracy_m: coords.accuracy, at_ms: Date.now() };
    field.me(me);
    shift.seen(me);
    if (first) draw();
  }, () => {}, { enableHighAccuracy: true, maximumAge: 15000, timeout: 20000 });
}

function line() {
  document.body.classList.toggle("no-network", !navigator.onLine);
  $("#line").hidden = navigator.onLine;
}

for (const button of $$(".tabs [data-view]")) button.addEventListener("click", () => view(button.dataset.view));
$(".tabs [data-new]").addEventListener("click", openReport);
$("#unsent").addEventListener("click", () => view("box"));
$("#me").addEventListener("click", () => (me ? field.centre(me) : toast(t("field.no_position"))));
for (const button of $$("[data-by]")) {
  button.addEventListener("click", () => {
    by = button.dataset.by;
    localStorage.setItem("gridward_field_by", by);
    for (const other of $$("[data-by]")) other.setAttribute("aria-pressed", String(other === button));
    if (by === "near" && !me) toast(t("field.no_position"));
    draw();
  });
  button.setAttribute("aria-pressed", String(button.dataset.by === by));
}
addEventListener("online", () => { line(); refresh(); });
addEventListener("offline", line);
// Where no push comes, the page looks for itself when it is looked at.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refreshSoon());
addEventListener("focus", refreshSoon);
addEventListener("pageshow", (event) => event.persisted && refreshSoon());
navigator.serviceWorker?.addEventListener("message", () => refresh());

line();
view("tasks");
navigator.serviceWorker?.register("/field/sw.js", { scope: "/field" }).catch(() => {});
navigator.storage?.persist?.();
outbox.read().then(() => outbox.send(), () => toast(t("field.storage_failed"), "red"));
const begun = showKept();
refresh().then(() => Promise.all([field.load(desk.tasks), readLists(), clearStrangers().catch(() => {})]));
watch();
setInterval(refresh, REFRESH_MS);
