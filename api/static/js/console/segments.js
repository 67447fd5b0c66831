// Segments to choose on the map, by a click or a box, and without the map by their street.
import { fill, h } from "../dom.js";
import { get } from "../api.js";
import { t } from "../messages.js";

const L = window.L;
const FROM_ZOOM = 14;
const accent = () => getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();

export class Segments {
  constructor(map, onChange) {
    this.map = map;
    this.onChange = onChange;
    this.chosen = new Map(); // id → metres
    this.drawn = new Map();
    this.layer = L.layerGroup();
    this.active = false;
    this.boxing = false;
    this.corner = null;
    map.on("moveend", () => this.load());
    map.on("mousedown", (event) => { if (this.boxing) this.begin(event.latlng); });
    map.on("mousemove", (event) => this.rectangle?.setBounds(L.latLngBounds(this.corner, event.latlng)));
    map.on("mouseup", (event) => { if (this.rectangle) this.end(event.latlng); });
  }

  use(active) {
    this.active = active;
    if (active) { this.layer.addTo(this.map); this.load(); } else { this.layer.remove(); this.box(false); }
  }

  get near() {
    return this.map.getZoom() >= FROM_ZOOM;
  }

  async load() {
    if (!this.active) return;
    this.onChange();
    if (!this.near) { this.layer.clearLayers(); this.drawn.clear(); return; }
    const view = this.map.getBounds().pad(0.1);
    const bbox = [view.getWest(), view.getSouth(), view.getEast(), view.getNorth()].map((x) => x.toFixed(6)).join(",");
    const { features } = await get("segments.geojson", { bbox });
    this.layer.clearLayers();
    this.drawn.clear();
    for (const feature of features) {
      const { id } = feature.properties;
      const line = L.geoJSON(feature, { style: () => this.style(id) });
      line.on("click", (event) => { L.DomEvent.stopPropagation(event); if (!this.boxing) this.toggle(feature.properties); });
      line.addTo(this.layer);
      this.drawn.set(id, { line, feature });
    }
  }

  style(id) {
    return this.chosen.has(id) ? { color: accent(), weight: 9, opacity: 0.95 } : { color: accent(), weight: 14, opacity: 0.001 };
  }

  toggle({ id, length_m }, on = !this.chosen.has(id)) {
    if (on) this.chosen.set(id, length_m);
    else this.chosen.delete(id);
    this.drawn.get(id)?.line.setStyle(this.style(id));
    this.onChange();
  }

  clear() {
    for (const id of [...this.chosen.keys()]) this.toggle({ id }, false);
  }

  box(on) {
    this.boxing = on;
    this.map.getContainer().classList.toggle("aiming", on);
    if (on) this.map.dragging.disable(); else this.map.dragging.enable();
  }

  begin(at) {
    this.corner = at;
    this.rectangle = L.rectangle(L.latLngBounds(at, at), { color: accent(), weight: 2, interactive: false }).addTo(this.map);
  }

  /** Whatever has its middle inside is chosen. */
  end(at) {
    const bounds = L.latLngBounds(this.corner, at);
    this.rectangle.remove();
    this.rectangle = null;
    for (const { feature } of this.drawn.values()) {
      const { coordinates } = feature.geometry;
      const [lon, lat] = coordinates[Math.floor(coordinates.length / 2)];
      const [lon0, lat0] = coordinates[Math.floor((coordinates.length - 1) / 2)];
      if (bounds.contains([(lat + lat0) / 2, (lon + lon0) / 2])) this.toggle(feature.properties, true);
    }
  }

  /** The streets of one grid as boxes to tick: the same choice without a map. */
  async streets(list, code, bounds) {
    const bbox = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()].map((x) => x.toFixed(6)).join(",");
    const { features } = await get("segments.geojson", { bbox });
    const byStreet = new Map();
    for (const { properties } of features) {
      if (properties.grid_left !== code && properties.grid_right !== code) continue;
      const name = properties.street || t("grids.unnamed");
      byStreet.set(name, [...(byStreet.get(name) || []), properties]);
    }
    fill(list, [...byStreet].sort((a, b) => a[0].localeCompare(b[0])).map(([name, segments]) => h("li", {}, h("label", { class: "row" },
      h("input", { type: "checkbox", checked: segments.every((each) => this.chosen.has(each.id)),
        on: { change: (event) => segments.forEach((each) => this.toggle(each, event.target.checked)) } }),
      h("span", { text: t("grids.street_of", { street: name, n: segments.length }) })))));
  }

  get metres() {
    return [...this.chosen.values()].reduce((sum, m) => sum + m, 0);
  }
}
