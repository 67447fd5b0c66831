// The dispatcher's console: one state, shown in a list, on a map and in a panel.
import "../page.js";
import { $, $$, gathered, h, toast } from "../dom.js";
import { get, latest } from "../api.js";
import { t } from "../messages.js";
import { Ground } from "../ground.js";
import { streetTiles } from "../street_tiles.js";
import { Filters } from "./filters.js";
import { List } from "./list.js";
import { MarksLayer } from "./marks_layer.js";
import { Panel } from "./panel.js";
import { Report, loadChoices } from "./report.js";
import { chime, follow } from "./live.js";
import { useKeys } from "./keys.js";
import { drawLegend } from "./legend.js";
import { Bulk } from "./bulk.js";
import { useDrag } from "./drag.js";
import { Duty } from "./duty.js";
import { Finder } from "./finder.js";
import { Layers } from "./layers.js";
import { Saved } from "./saved.js";

const PAGE_SIZE = 80;
const { map, clusters } = window.gridward;
const ask = latest();
let items = [];
let total = 0;
let least = false;
let pages = 1;
let report = null;
let fitted = false; // a map that was not shown yet has no size to fit the town into
let sound = localStorage.getItem("gridward_sound") === "on";
const fresh = new Set();
const late = new Set();
const seen = new Set();

const filters = new Filters($("#filters"), () => { pages = 1; load(); saved.show(); });
const saved = new Saved($("#saved"), filters);
const marks = new MarksLayer({ map, clusters }, (number) => choose(number, { pan: false }));
let bulk = null;
const list = new List({
  onChoose: (number, how) => choose(number, how),
  onMore: () => { pages += 1; load(); },
  onRetry: () => load(),
  onClear: () => filters.set(null),
  onMarked: () => bulk?.show(),
});
// The first rows have come with the page. All is read when the feed is open, or a second later without it.
let begun = false;
const begin = () => { begun = true; load(); counts(); };
follow(onIncident, begin);
setTimeout(() => { if (!begun) begin(); }, 1000);
const ground = new Ground(map, { streetTiles, onGrid: (code) => { map.closePopup(); filters.set({ grid: code }); } });
const panel = new Panel($("#panel"), { map, ground, onClose: closePanel, onOpen: (number) => choose(number), onChanged: (incident) => { marks.choose(incident, { pan: false }); load(); counts(); } });

bulk = new Bulk($("#bulk"), { list, ground, onDone: () => { load(); counts(); if (panel.number) panel.refresh(panel.number); } });
// Who may not see where people are has no such button, and no such panel.
const mayDuty = Boolean($("#duty-open"));
const duty = new Duty($("#duty"), $("#duty-open"), { map, onClose: closePanel });

async function openDuty() {
  if (!mayDuty) return;
  if (!$("#duty").hidden) { closePanel(); return; }
  panel.close();
  report?.close();
  marks.choose(null);
  $(".board").dataset.side = "open";
  await duty.open();
}
$("#duty-open")?.addEventListener("click", openDuty);

async function load() {
  list.waiting();
  try {
    const query = filters.query();
    const got = [];
    for (let page = 1; page <= pages; page += 1) {
      const answer = await ask("incidents", { ...query, page, page_size: PAGE_SIZE });
      got.push(...answer.items);
      total = answer.total;
      least = answer.total_is_least;
      if (got.length >= total) break;
    }
    items = got;
    list.fresh = fresh;
    list.show(items, total, { narrowed: filters.narrowed, least });
    marks.show(items, total > items.length ? query : null);
    ground.choose(query.grid);
    if (panel.number) list.choose(panel.number, false);
  } catch (problem) {
    if (problem.name !== "AbortError") list.failed(problem);
  }
}
// Many events are one reload; a stream that never ends does not put it off for ever.
const reload = gathered(400, () => Promise.all([load(), counts()]));

async function counts() {
  try {
    const numbers = await get("desk/queues");
    for (const button of $$("[data-queue]")) {
      const { queue } = button.dataset;
      const n = numbers[queue || "open"] || 0;
      $(".badge", button).textContent = n;
      button.classList.toggle("pressing", queue === "overdue" && n > 0);
      button.hidden = Boolean(queue) && n === 0 && filters.values.queue !== queue && !button.hasAttribute("data-always");
    }
  } catch {
    for (const badge_ of $$("[data-queue] .badge")) badge_.textContent = "";
  }
}

async function choose(number, { pan = true, focus = false } = {}) {
  report?.close();
  duty.close();
  fresh.delete(number);
  late.delete(number);
  badge();
  list.choose(number);
  list.rows.get(number)?.classList.remove("fresh");
  $(".board").dataset.side = "open";
  map.invalidateSize({ pan: false });
  const incident = await panel.open(number, { focus });
  if (panel.number === number) marks.choose(incident, { pan });
}

function closePanel() {
  panel.close();
  report?.close();
  duty.close();
  delete $(".board").dataset.side;
  marks.choose(null);
  list.choose(null, false);
}

async function openReport() {
  panel.close();
  duty.close();
  $(".board").dataset.side = "open";
  if (!report) {
    try {
      report = new Report($("#report"), { map, ...(await choices), onClose: closePanel, onOpen: choose,
        onSaved: (number) => { seen.add(number); report.close(); load(); counts(); choose(number); } });
    } catch (problem) {
      delete $(".board").dataset.side;
      toast(problem.message, "red");
      choices = loadChoices();
      return;
    }
  }
  report.open();
}

const finder = new Finder(map, { onMap: () => { if (!map.getSize().x) $("nav [data-view=map]").click(); } });
$("#search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("#search input").value.trim();
  finder.clear();
  if (!text) return;
  if (finder.coordinates(text)) return;
  try {
    await get(`incidents/${encodeURIComponent(text)}`);
    choose(text, { focus: true }); // a number is found whatever the filters are
  } catch (problem) {
    if (problem.status !== 404 && problem.status !== 422) { toast(problem.message, "red"); return; }
    filters.set({ q: text, status: "", queue: "" });
    finder.words(text);
  }
});

// What came in and what has become overdue, each with a badge of its own; a click opens the newest.
const badges = { fresh, late };
function badge() {
  for (const [name, numbers] of Object.entries(badges)) {
    $(`#${name}`).hidden = numbers.size === 0;
    $(`#${name} .text`).textContent = t(`console.${name}`, { n: numbers.size });
  }
  const n = new Set([...fresh, ...late]).size;
  document.title = (n ? `(${n}) ` : "") + $("#fresh").dataset.title;
}
for (const [name, numbers] of Object.entries(badges)) {
  $(`#${name}`).addEventListener("click", () => {
    const [number] = [...numbers].reverse();
    numbers.clear();
    badge();
    if (number) choose(number);
  });
}

/** What an event is to the ear and to the badges: "late" when a limit has run out, "fresh" when it came in, else "". */
function newsOf(event, since) {
  const key = event.turned_overdue ? `${event.number} ${event.due_at}` : event.number;
  const known = seen.has(key) || !since;
  seen.add(key);
  if (known) return "";
  if (event.turned_overdue) return "late";
  return event.version === 1 ? "fresh" : "";
}

function onIncident(event, since) {
  const news = newsOf(event, since);
  if (news) {
    badges[news].add(event.number);
    badge();
    if (sound) chime(news);
  }
  reload();
  panel.refresh(event.number);
}

const soundSwitch = $("#sound");
function showSound() {
  soundSwitch.setAttribute("aria-pressed", String(sound));
  $("use", soundSwitch).setAttribute("href", `/static/icons.svg#${sound ? "bell" : "bell-off"}`);
}
soundSwitch.addEventListener("click", () => {
  sound = !sound;
  localStorage.setItem("gridward_sound", sound ? "on" : "off");
  showSound();
  if (sound) chime();
});

for (const button of $$("[data-view]")) {
  button.addEventListener("click", () => {
    $(".board").dataset.view = button.dataset.view;
    for (const other of $$("[data-view]")) if (other.tagName === "BUTTON") other.setAttribute("aria-pressed", String(other === button));
    map.invalidateSize();
    if (!fitted) fitted = ground.fit();
  });
}
for (const button of $$("[data-new-report]")) button.addEventListener("click", openReport);
$("[data-close-report]").addEventListener("click", closePanel);
useDrag({ list, bulk, openDuty });
useKeys({ list, openReport, openDuty, close: closePanel });
new ResizeObserver(() => map.invalidateSize({ pan: false })).observe(map.getContainer());

if (matchMedia("(max-width: 760px)").matches) { $(".filter-box").open = false; $(".legend").open = false; }
showSound();
drawLegend();
new Layers($("#layers"), { map, ground, people: mayDuty });
let choices = loadChoices();
choices.then((got) => { panel.categories = got.categories; filters.fillCategories(got.categories); }, (problem) => toast(problem.message, "red"));
ground.load({ fit: map.getSize().x > 0 }).then((grids) => {
  fitted = map.getSize().x > 0;
  filters.fillGrids(grids);
  if (!grids.size) $("#map-empty").hidden = false;
}, (problem) => {
  const box = $("#map-empty");
  box.replaceChildren(h("p", { text: problem.message }));
  box.hidden = false;
});
setInterval(() => list.show(items, total, { narrowed: filters.narrowed, least }), 60000); // what is left of a limit grows less
const opened = new URLSearchParams(location.search).get("incident");
if (opened) choose(opened);
