// Base maps: in which order pages offer them, each with the tiles of the middle of the town to look at.
import { get } from "../api.js";
import { fromWgs84 } from "../datums.js";
import { $, fill, h } from "../dom.js";
import { t } from "../messages.js";
import { open, save } from "./parts.js";

const ZOOM = 15;
const [west, south, east, north] = ($('meta[name="town-bounds"]')?.content || "116.2,39.8,116.6,40.0").split(",").map(Number);
let maps = [];
let chosen = null;

const { PI, floor, log, tan, cos } = Math;

/** The address of a tile beside the town's middle, as the tiles' own datum numbers it. */
function tile(map, dx, dy) {
  const z = Math.min(ZOOM, map.max_zoom);
  const [lon, lat] = fromWgs84((west + east) / 2, (south + north) / 2, map.datum);
  const n = 2 ** z;
  const rad = (lat * PI) / 180;
  const x = floor(((lon + 180) / 360) * n) + dx;
  const y = floor(((1 - log(tan(rad) + 1 / cos(rad)) / PI) / 2) * n) + dy;
  const parts = map.subdomains.includes(",") ? map.subdomains.split(",") : [...(map.subdomains || "abc")];
  const places = { z, x, y, s: parts[(x + y) % parts.length].trim(), key: map.map_key };
  return map.url.replace(/\{(\w+)\}/g, (whole, name) => places[name] ?? whole);
}

/** Four tiles; when one does not come, it is said. */
function preview(map) {
  const said = h("p", { class: "muted small", role: "status", text: t("basemaps.trying") });
  let come = 0;
  const picture = ([dx, dy]) => h("img", {
    alt: "", width: 96, height: 96, src: tile(map, dx, dy),
    on: {
      load: () => { come += 1; if (come === 4) { said.textContent = t("basemaps.tiles_come"); said.className = "small good"; } },
      error: () => { said.textContent = t("basemaps.tiles_fail"); said.className = "note red small"; },
    },
  });
  return h("div", { class: "try" }, h("div", { class: "tiles", role: "img", "aria-label": t("basemaps.preview", { name: map.name_zh }) },
    [[0, 0], [1, 0], [0, 1], [1, 1]].map(picture)), said);
}

async function move(index, by) {
  const ids = maps.map((map) => map.id);
  ids.splice(index + by, 0, ...ids.splice(index, 1));
  if (await save("PUT", "admin/base-maps/order", { ids }, null)) await show();
}

async function turn(map) {
  if (await save("PATCH", `admin/base-maps/${map.id}`, { shown: !map.shown }, null)) await show();
}

function line(map, index) {
  const first = maps.findIndex((one) => one.shown) === index;
  const chips = [
    first && h("span", { class: "chip green", text: t("basemaps.first") }),
    !map.shown && h("span", { class: "chip", text: t("basemaps.hidden") }),
    map.id === null && h("span", { class: "chip accent", text: t("basemaps.of_settings") }),
    h("span", { class: "chip", text: t(`datum.${map.datum}`) }),
  ];
  const button = (key, action, off = false) => h("button", { class: "button", type: "button", text: t(key), disabled: off, "aria-label": `${t(key)}: ${map.name_zh}`, on: { click: action } });
  return h("li", { class: map.shown ? "" : "closed" },
    preview(map),
    h("div", { class: "stack grow" },
      h("div", { class: "row wrap" }, h("b", { text: map.name_zh }), h("span", { class: "muted", text: map.name_en === map.name_zh ? "" : map.name_en }), ...chips),
      h("code", { class: "small words", text: map.url }),
      h("p", { class: "muted small", text: [map.attribution, t("basemaps.up_to", { zoom: map.max_zoom })].filter(Boolean).join(" · ") }),
      map.id === null ? null : h("div", { class: "row wrap" }, button("basemaps.up", () => move(index, -1), index === 0), button("basemaps.down", () => move(index, 1), index === maps.length - 1),
        button(map.shown ? "basemaps.hide" : "basemaps.show", () => turn(map)), button("basemaps.edit", () => edit(map)))));
}

async function show() {
  try {
    maps = await get("admin/base-maps");
    fill($("#maps"), maps.length ? maps.map(line) : h("li", { class: "muted", text: t("basemaps.none") }));
  } catch (problem) {
    fill($("#maps"), h("li", {}, h("p", { class: "note red" }, h("span", { class: "grow", text: problem.message }),
      h("button", { class: "button", type: "button", text: t("common.retry"), on: { click: show } }))));
  }
}

function edit(map) {
  chosen = map;
  const form = $("#map-form");
  form.reset();
  $("#map-name").textContent = map ? map.name_zh : t("basemaps.new");
  $("#map-drop").hidden = !map;
  if (map) {
    for (const name of ["name_zh", "name_en", "url", "subdomains", "map_key", "datum", "attribution", "max_zoom"]) form.elements[name].value = map[name];
    form.elements.shown.checked = map.shown;
  }
  open($("#map-dialog"));
  form.elements.name_zh.focus();
}

// The page's own policy names the hosts that were known when it was made: after a change it is asked for anew.
const anew = () => location.reload();

$("#map-new").addEventListener("click", () => edit(null));
$("#map-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const body = Object.fromEntries(new FormData(form));
  body.shown = form.elements.shown.checked;
  body.max_zoom = Number(body.max_zoom);
  if (await (chosen ? save("PATCH", `admin/base-maps/${chosen.id}`, body, form) : save("POST", "admin/base-maps", body, form))) anew();
});
$("#map-drop").addEventListener("click", async () => {
  if (!confirm(t("basemaps.drop_sure", { name: chosen.name_zh }))) return;
  if (await save("DELETE", `admin/base-maps/${chosen.id}`, null, $("#map-form"))) anew();
});
show();
