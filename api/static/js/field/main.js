// The field worker's phone: my tasks, my grids on the map, everything usable without network.
import "../page.js";
import { $, $$, fill, h, icon, toast } from "../dom.js";
import { get } from "../api.js";
import { named, t } from "../messages.js";
import { mark } from "../marks.js";
import { Ground } from "../ground.js";
import { moment } from "../times.js";
import { keep, kept } from "./store.js";
import { Outbox } from "./outbox.js";
import { card, metresApart, sheet, withOutbox } from "./tasks.js";
import { showBox } from "./box.js";

const L = window.L;
const REFRESH_MS = 60000;
const { account, username } = document.body.dataset;
const { map } = window.gridward;
const ground = new Ground(map);
const pins = L.layerGroup().addTo(map);
let tasks = [];
let me = null;
let meMarker = null;
let opened = null;
let by = localStorage.getItem("gridward_field_by") || "due";
let updated_at = null;
let problem_shown = null;

const outbox = new Outbox({
  account: Number(account), username,
  onChange: (items) => { count(items); draw(); if (!$("#box").hidden) showBox($("#box"), outbox); },
  onSent: () => refreshSoon(),
  renew: renewToken,
});

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
  pill.classList.toggle("amber", items.length > 0);
  pill.classList.toggle("red", items.some((item) => item.state === "conflict" || item.state === "refused"));
  $(".text", pill).textContent = t("field.unsent", { n: items.length });
  pill.hidden = items.length === 0;
}

let timer = 0;
function refreshSoon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 300);
}

async function refresh() {
  try {
    const answer = await get("me/tasks");
    tasks = answer.items || answer;
    updated_at = new Date().toISOString();
    problem_shown = null;
    await keep(`tasks:${account}`, { tasks, updated_at });
  } catch (problem) {
    if (!updated_at) {
      const before = await kept(`tasks:${account}`).catch(() => null);
      if (before) ({ tasks, updated_at } = before);
    }
    problem_shown = problem;
  }
  draw();
}

function sorted(list) {
  const late = (task) => new Date(task.due_at || "9999-12-31").getTime();
  const far = (task) => (me && task.incident.location ? metresApart(me, task.incident.location) : Infinity);
  return [...list].sort((a, b) => (by === "near" && me ? far(a) - far(b) : late(a) - late(b)));
}

function draw() {
  const shown = tasks.map((task) => withOutbox(task, outbox.items));
  const open = sorted(shown.filter((task) => task.status !== "done" && task.status !== "returned"));
  const over = shown.filter((task) => task.status === "done" || task.status === "returned");
  const list = $("#tasks");
  const lines = [];
  if (problem_shown && problem_shown.isLine) lines.push(h("p", { class: "note amber" }, icon("offline"), h("span", { text: updated_at ? t("field.kept", { at: moment(updated_at) }) : t("field.offline") })));
  else if (problem_shown) lines.push(h("p", { class: "note red" }, icon("warning"), h("span", { text: problem_shown.message })));
  if (!updated_at && !problem_shown) lines.push(h("p", { class: "row muted" }, h("span", { class: "spinner" }), t("field.loading")));
  else if (!open.length) lines.push(h("div", { class: "empty" }, icon("tick-circle"), h("p", { text: t("field.none") }), h("p", { class: "small", text: t("field.none_hint") })));
  lines.push(h("ul", { class: "cards" }, open.map((task) => card(task, me, openTask))));
  if (over.length) lines.push(h("h2", { text: t("field.done_today") }), h("ul", { class: "cards" }, over.map((task) => card(task, me, openTask))));
  if (updated_at && !problem_shown) lines.push(h("p", { class: "muted small centre", text: t("field.updated", { at: moment(updated_at) }) }));
  fill(list, lines);
  drawPins(open);
  if (opened) {
    const now = shown.find((task) => task.id === opened.id);
    if (now && (now.status !== opened.status || now.unsent !== opened.unsent || now.incident.version !== opened.incident.version)) {
      if (!$("#sheet textarea")) openTask(now);
    }
  }
}

function drawPins(open) {
  pins.clearLayers();
  for (const task of open) {
    const { incident } = task;
    if (!incident.location) continue;
    L.marker([incident.location.lat, incident.location.lon], {
      icon: L.divIcon({ className: "mark", html: mark({ ...incident, lamp: task.lamp || incident.lamp }, 34), iconSize: [34, 34] }),
      alt: named(incident.category) || incident.number, title: named(incident.category),
    }).on("click", () => openTask(task)).addTo(pins);
  }
}

function openTask(task) {
  opened = task;
  const box = $("#sheet");
  sheet(box, task, {
    me, onClose: closeTask,
    onMap: () => { closeTask(); view("map"); map.setView([task.incident.location.lat, task.incident.location.lon], 17); ground.choose(task.incident.grid?.code); },
    act: async (items) => {
      try {
        await outbox.add(items);
        toast(t(navigator.onLine ? "field.saved" : "field.saved_offline"));
      } catch {
        toast(t("field.storage_failed"), "red");
      }
    },
  });
  if (box.hidden) {
    box.hidden = false;
    history.pushState({ task: task.id }, "");
    box.focus();
  }
  box.scrollTop = 0;
}

function closeTask() {
  if ($("#sheet").hidden) return;
  if (history.state?.task) history.back();
  else hideSheet();
}

function hideSheet() {
  const number = opened?.incident.number;
  opened = null;
  $("#sheet").hidden = true;
  fill($("#sheet"));
  $(`#tasks [data-number="${number}"]`)?.focus({ preventScroll: true });
}
addEventListener("popstate", hideSheet);

function view(name) {
  document.body.dataset.view = name;
  $("#box").hidden = name !== "box";
  for (const button of $$(".tabs [data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === name));
  if (name === "map") { map.invalidateSize(); if (!$(".map-seen")) { showMap(); document.body.classList.add("map-seen"); } }
  if (name === "box") showBox($("#box"), outbox);
}

function showMap() {
  const mine = tasks.map((task) => task.incident.location).filter(Boolean).map((at) => [at.lat, at.lon]);
  if (mine.length) map.fitBounds(L.latLngBounds(mine).pad(0.25), { maxZoom: 17 });
  else ground.fit();
}

async function loadGround() {
  let features = (await kept("grids").catch(() => null)) || [];
  try {
    ({ features } = await get("grids.geojson"));
    await keep("grids", features);
  } catch {
    // the streets kept before will do
  }
  ground.draw(features, { fit: false });
  const codes = new Set(tasks.map((task) => task.incident.grid?.code).filter(Boolean));
  if (codes.size === 1) ground.choose([...codes][0]);
}

function watch() {
  if (!navigator.geolocation) return;
  navigator.geolocation.watchPosition(({ coords }) => {
    const first = !me;
    me = { lon: coords.longitude, lat: coords.latitude };
    if (meMarker) meMarker.setLatLng([me.lat, me.lon]);
    else meMarker = L.marker([me.lat, me.lon], { icon: L.divIcon({ className: "me-dot", iconSize: [20, 20] }), keyboard: false, alt: t("field.me"), zIndexOffset: 2000 }).addTo(map);
    if (first || by === "near") draw();
  }, () => {}, { enableHighAccuracy: true, maximumAge: 15000, timeout: 20000 });
}

function line() {
  document.body.classList.toggle("no-network", !navigator.onLine);
  $("#line").hidden = navigator.onLine;
}

for (const button of $$(".tabs [data-view]")) button.addEventListener("click", () => view(button.dataset.view));
$("#unsent").addEventListener("click", () => view("box"));
$("#me").addEventListener("click", () => (me ? map.setView([me.lat, me.lon], 17) : toast(t("field.no_position"))));
for (const button of $$("[data-by]")) {
  button.addEventListener("click", () => {
    by = button.dataset.by;
    localStorage.setItem("gridward_field_by", by);
    for (const other of $$("[data-by]")) other.setAttribute("aria-pressed", String(other === button));
    draw();
  });
  button.setAttribute("aria-pressed", String(button.dataset.by === by));
}
addEventListener("online", () => { line(); refresh(); });
addEventListener("offline", line);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());

line();
view("tasks");
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/field/sw.js", { scope: "/field" }).catch(() => {});
navigator.storage?.persist?.();
outbox.read().then(() => outbox.send(), () => toast(t("field.storage_failed"), "red"));
refresh().then(loadGround);
watch();
setInterval(refresh, REFRESH_MS);
