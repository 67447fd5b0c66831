// The page of exports: what is chosen becomes a job or a link; jobs are asked until they are done.
import { $, $$, fill, h, toast } from "./dom.js";
import { Problem, get } from "./api.js";
import { t, word } from "./messages.js";
import { moment } from "./times.js";

const form = $("#export");
const crs = $("#e-crs");
const list = $("#crs-list");
const problem = $("#export-problem");
const csrf = document.querySelector('meta[name="csrf-token"]').content;
const SHIFTED = { gcj02: "GCJ-02", bd09: "BD-09" };
const FIELDS = ["status", "category", "grid", "queue", "post", "assignee", "channel", "flag", "q", "from", "to", "at", "bbox", "where"];
const first = JSON.parse($("#systems").textContent);
let shown = [];
let at = -1;
let timer = 0;

async function ask(method, path, body) {
  let answer;
  try {
    answer = await fetch(`/exports/jobs${path}`, {
      method, credentials: "same-origin", body: body ? JSON.stringify(body) : undefined,
      headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRF-Token": csrf, "Accept-Language": document.documentElement.lang },
    });
  } catch {
    throw new Problem(0, null);
  }
  const found = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, found);
  return found;
}

function asked() {
  const data = new FormData(form);
  const layers = data.getAll("layer");
  const values = { layer: layers.join(","), ending: data.get("ending"), crs: crs.value.trim() || "EPSG:4326" };
  for (const name of FIELDS) {
    const field = form.elements[name];
    if (field.value && !field.closest("[data-needs][hidden]")) values[name] = field.value;
  }
  if (values.assignee) values.assignee = Number(values.assignee);
  if (values.status === "open") Object.assign(values, { open: true, status: undefined });
  if (form.elements.overdue.checked && !form.elements.overdue.closest("[hidden]")) values.overdue = true;
  // As at the desk: "overdue" is no queue that an incident is put in.
  if (values.queue === "overdue") Object.assign(values, { overdue: true, queue: undefined });
  if (form.elements.with.checked && !form.elements.with.closest("[hidden]")) values.with = "dictionary";
  for (const name of Object.keys(values)) if (values[name] === undefined) delete values[name];
  if (form.elements.names && !form.elements.names.checked) values.names = false;
  return values;
}

// What fits together is shown; what cannot be is not offered.
function settle(event) {
  const format = form.elements.ending.selectedOptions[0];
  const boxes = $$('input[name="layer"]');
  if (!format.hasAttribute("data-many") && boxes.filter((box) => box.checked).length > 1) {
    const kept = event?.target.name === "layer" && event.target.checked ? event.target : boxes.find((box) => box.checked);
    for (const box of boxes) box.checked = box === kept;
    toast(t("exports.several"));
  }
  const fits = new Set(boxes.filter((box) => box.checked).flatMap((box) => box.dataset.filters.split(" ")));
  for (const field of $$("[data-needs]")) field.hidden = !fits.has(field.dataset.needs);
  $("#with-dictionary").hidden = format.hasAttribute("data-explains");
  const only = format.hasAttribute("data-wgs84");
  if (only) crs.value = "EPSG:4326";
  crs.disabled = only;
  const shifted = Object.keys(SHIFTED).includes(crs.value.trim().toLowerCase().replace("-", ""));
  const note = $("#crs-note");
  note.hidden = !only && !shifted;
  note.textContent = shifted ? t("exports.shifted") : t("exports.wgs_only", { format: format.textContent });
  const { layer, ending, ...rest } = asked();
  const link = $("#e-now");
  link.href = layer ? `/exports/${layer}.${ending}?${new URLSearchParams(rest)}` : "#";
  link.toggleAttribute("download", Boolean(layer));
}

function offered(systems, words) {
  const plain = words.toLowerCase().replace("-", "");
  const extra = Object.entries(SHIFTED).filter(([key]) => !plain || key.includes(plain) || "火星".includes(words) || "百度".includes(words))
    .map(([code, name]) => ({ code, name, area: t("exports.crs") }));
  return [...systems, ...extra];
}

function draw() {
  fill(list, shown.length ? shown.map((one, k) => h("li", { role: "option", id: `crs-${k}`, "aria-selected": String(k === at),
    on: { mousedown: (event) => { event.preventDefault(); choose(k); } } },
    h("span", {}, h("b", { text: one.code }), ` ${one.name}`, one.code === crs.dataset.town ? h("span", { class: "chip accent", text: t("exports.crs_town") }) : null),
    h("small", { class: "muted", text: one.area })))
    : h("li", { class: "muted", text: t("exports.crs_none") }));
  list.hidden = false;
  crs.setAttribute("aria-expanded", "true");
  if (at >= 0) crs.setAttribute("aria-activedescendant", `crs-${at}`);
  else crs.removeAttribute("aria-activedescendant");
}

function close() {
  list.hidden = true;
  crs.setAttribute("aria-expanded", "false");
}

function choose(k) {
  crs.value = shown[k].code;
  close();
  settle();
}

async function look(words) {
  try {
    shown = offered(words ? await get("crs", { q: words }) : first, words);
  } catch (error) {
    toast(error.message, "red");
    return;
  }
  at = -1;
  draw();
}

crs.addEventListener("focus", () => { crs.select(); look(""); });
crs.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => look(crs.value.trim()), 200);
  settle();
});
crs.addEventListener("blur", close);
crs.addEventListener("keydown", (event) => {
  if (event.key === "Escape") close();
  if (event.key === "Enter" && !list.hidden) {
    event.preventDefault();
    if (shown.length) choose(Math.max(at, 0));
  }
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (!shown.length) return;
    at = (at + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % shown.length;
    draw();
    $(`#crs-${at}`).scrollIntoView({ block: "nearest" });
  }
});

function size(bytes) {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1000)} kB`;
}

function line(job) {
  const busy = job.status === "waiting" || job.status === "running";
  const kind = { done: "green", failed: "red", cancelled: "amber" }[job.status] || "accent";
  return h("li", { dataset: { job: job.id, status: job.status } },
    h("span", { class: `chip ${kind}`, text: word("exports.state", job.status) }),
    h("span", { class: "grow" }, h("b", { text: `${job.asked.layer}.${job.asked.ending}` }), ` ${job.asked.crs || ""} `,
      h("span", { class: "muted small", text: [moment(job.made_at), job.rows ? t("exports.rows", { n: job.rows.toLocaleString() }) : "",
        job.size_bytes ? size(job.size_bytes) : "", job.file ? t("exports.expires", { at: moment(job.expires_at) }) : ""].filter(Boolean).join(" · ") }),
      job.detail ? h("p", { class: "note red", text: job.detail }) : null),
    busy ? h("progress", { "aria-label": word("exports.state", job.status) }) : null,
    job.file ? h("a", { class: "button main", href: job.file, download: true, text: t("exports.get") }) : null,
    busy || job.file ? h("button", { class: "button", type: "button", text: t(busy ? "exports.cancel" : "exports.drop"), on: { click: () => drop(job.id) } }) : null);
}

async function drop(id) {
  try {
    await ask("DELETE", `/${id}`);
  } catch (error) {
    toast(error.message, "red");
  }
  await showJobs();
}

let waiting = 0;
async function showJobs() {
  clearTimeout(waiting);
  try {
    const jobs = await ask("GET", "");
    fill($("#jobs"), jobs.length ? jobs.map(line) : h("li", { class: "muted", text: t("exports.none") }));
    if (jobs.some((job) => job.status === "waiting" || job.status === "running")) waiting = setTimeout(showJobs, 1000);
  } catch (error) {
    fill($("#jobs"), h("li", {}, h("p", { class: "note red", text: error.message })));
    if (error.isLine) waiting = setTimeout(showJobs, 5000);
  }
}

form.addEventListener("input", settle);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.hidden = true;
  const values = asked();
  const button = $("button.main", form);
  button.disabled = true;
  try {
    if (!values.layer) throw new Problem(422, { detail: t("exports.no_layer") });
    await ask("POST", "", values);
    await showJobs();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  } finally {
    button.disabled = false;
  }
});

// What the desk or a map shows comes with the address.
function prefill() {
  const address = new URLSearchParams(location.search);
  const layers = (address.get("layer") || "").split(",").filter(Boolean);
  if (layers.length) for (const box of $$('input[name="layer"]')) box.checked = layers.includes(box.value);
  let filled = false;
  for (const name of FIELDS) {
    if (!address.get(name)) continue;
    form.elements[name].value = address.get(name);
    filled = true;
  }
  if (address.get("overdue")) filled = form.elements.overdue.checked = true;
  if (filled) $("details", form).open = true;
}

prefill();
settle();
showJobs();
