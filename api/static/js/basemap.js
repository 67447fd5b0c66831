// Base maps under our own lines: the one in GCJ-02 or BD-09 is put where it really lies, and one of several is chosen.
// Within one tile the datum's shift changes by less than a third of a pixel, so tiles and streets meet everywhere.
import { fromWgs84, toWgs84 } from "./datums.js";

const L = window.L;
const KEPT = "gridward-base-map";
const NONE = "";

/** Lets a tile layer fetch and place its tiles by a datum. */
export function align(layer, name) {
  const shifted = (latlng) => { const [lng, lat] = fromWgs84(latlng.lng, latlng.lat, name); return L.latLng(lat, lng); };
  const plain = {
    bounds: layer._getTiledPixelBounds, position: layer._getTilePos,
  };
  // Which tiles: those under the view as the tiles' own datum sees it.
  layer._getTiledPixelBounds = (centre) => plain.bounds.call(layer, shifted(centre));
  layer._getTilePos = (coords) => {
    const map = layer._map;
    const size = layer.getTileSize();
    const middle = coords.scaleBy(size).add(size.divideBy(2));
    const there = map.unproject(middle, coords.z);
    const [lng, lat] = toWgs84(there.lng, there.lat, name);
    const moved = map.project(L.latLng(lat, lng), coords.z).subtract(middle);
    return plain.position.call(layer, coords).add(moved)._round();
  };
  if (layer._map) layer.redraw();
  return layer;
}

const laid = (layer, datum) => (datum === "wgs84" ? layer : align(layer, datum));

function tiles(map, one) {
  const layer = L.tileLayer(one.url, {
    attribution: one.attribution, maxZoom: map.getMaxZoom(), maxNativeZoom: one.max_zoom, subdomains: one.subdomains,
  });
  return laid(layer, one.datum);
}

/** What was chosen here before: a name, NONE for the plain ground, null for nothing. */
function kept() {
  try { return localStorage.getItem(KEPT); } catch { return null; }
}

function keep(name) {
  try { localStorage.setItem(KEPT, name); } catch { /* A browser that keeps nothing shows the first. */ }
}

function offer(map, { maps, label, none }) {
  let shown = null;
  map.eachLayer((layer) => { if (layer instanceof L.TileLayer) shown = layer; });
  const layers = new Map([[maps[0].name, shown ? laid(shown, maps[0].datum) : tiles(map, maps[0])]]);
  const show = (name) => {
    const one = maps.find((each) => each.name === name);
    if (one && !layers.has(name)) layers.set(name, tiles(map, one));
    const next = one ? layers.get(name) : null;
    if (next === shown) return;
    shown?.remove();
    // Below the streets, which are tiles too.
    next?.setZIndex(0).addTo(map);
    shown = next;
  };
  shown?.setZIndex(0);
  if (maps.length < 2) return;
  const choice = document.createElement("select");
  choice.className = "base-choice";
  choice.setAttribute("aria-label", label);
  for (const [name, text] of [...maps.map((one) => [one.name, one.name]), [NONE, none]]) choice.append(new Option(text, name));
  choice.addEventListener("change", () => { show(choice.value); keep(choice.value); });
  const control = new L.Control({ position: "topright" });
  control.onAdd = () => {
    L.DomEvent.disableClickPropagation(choice);
    return choice;
  };
  control.addTo(map);
  const before = kept();
  choice.value = before === NONE || maps.some((one) => one.name === before) ? before : maps[0].name;
  show(choice.value);
}

const told = JSON.parse(document.getElementById("base-maps")?.textContent || "null");
const map = window.gridward?.map || window.gridwardMap;
if (told && map) offer(map, told);
