// What the map shows beside incidents: streets, the ground of the grids, areas given by hand, people, patrolled streets.
import { fill, h, toast } from "../dom.js";
import { get } from "../api.js";
import { t } from "../messages.js";
import { personMark } from "./people.js";

const L = window.L;
const KEPT = "gridward_layers";
const PEOPLE_EVERY_MS = 60000;
const PATROL_FROM_ZOOM = 14;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Layers {
  /** `people`: whether the reader may see where people are. */
  constructor(box, { map, ground, people }) {
    Object.assign(this, { map, ground });
    this.timer = 0;
    const base = [];
    map.eachLayer((layer) => { if (layer instanceof L.TileLayer) base.push(layer); });
    map.createPane("ground").style.zIndex = 350; // below the streets' names and all marks
    this.layers = {
      ...(base.length && { base: { group: L.layerGroup(), on: true, show: () => base.forEach((one) => one.addTo(map)), hide: () => base.forEach((one) => one.remove()) } }),
      streets: { on: true, show: () => ground.showStreets(true), hide: () => ground.showStreets(false) },
      territory: { group: L.layerGroup(), fetch: () => this.territory() },
      areas: { group: L.layerGroup(), fetch: () => this.areas() },
      ...(people && { people: { group: L.layerGroup(), fetch: () => this.people() } }),
      patrol: { group: L.layerGroup(), fetch: () => this.patrol() },
    };
    let kept = {};
    try { kept = JSON.parse(localStorage.getItem(KEPT) || "{}"); } catch { /* the usual ones */ }
    fill(box, h("summary", { text: t("layers.title") }), h("ul", {}, Object.entries(this.layers).map(([name, layer]) => {
      const on = kept[name] ?? Boolean(layer.on);
      const tick = h("input", { type: "checkbox", checked: on, dataset: { layer: name }, on: { change: () => this.turn(name, tick.checked) } });
      layer.tick = tick;
      return h("li", {}, h("label", {}, tick, h("span", { text: t(`layers.${name}`) })));
    })));
    for (const [name, layer] of Object.entries(this.layers)) if (layer.tick.checked !== Boolean(layer.on)) this.turn(name, layer.tick.checked);
    map.on("moveend", () => { if (this.layers.patrol.tick.checked) this.load("patrol"); });
  }

  turn(name, on) {
    const layer = this.layers[name];
    localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(Object.entries(this.layers).map(([key, one]) => [key, one.tick.checked]))));
    if (name === "people") clearInterval(this.timer);
    if (!on) { layer.hide?.(); layer.group?.remove(); return; }
    layer.show?.();
    if (!layer.fetch) return;
    layer.group.addTo(this.map);
    this.load(name);
    if (name === "people") this.timer = setInterval(() => { if (!document.hidden) this.load(name); }, PEOPLE_EVERY_MS);
  }

  async load(name) {
    const layer = this.layers[name];
    try {
      const drawn = await layer.fetch();
      if (!drawn || !layer.tick.checked) return;
      layer.group.clearLayers();
      for (const one of drawn) one.addTo(layer.group);
      layer.tick.dataset.drawn = drawn.length;
    } catch (problem) {
      layer.tick.checked = false;
      this.turn(name, false);
      toast(problem.message, "red");
    }
  }

  async territory() {
    const { features } = await get("grids/territory.geojson");
    return features.map((feature) => {
      const known = this.ground.grids.get(feature.properties.code);
      return L.geoJSON(feature, { pane: "ground", interactive: false,
        style: { color: known?.colour || css("--line-strong"), weight: 1.5, fillOpacity: 0.16 } });
    });
  }

  async areas() {
    const { features } = await get("grids/areas");
    return features.map((feature) => L.geoJSON(feature, { pane: "ground", style: { color: css("--accent"), weight: 2.5, dashArray: "6 4", fillOpacity: 0.12 } })
      .bindTooltip(h("span", { text: [feature.properties.name, feature.properties.grid_code].filter(Boolean).join(" · ") }), { sticky: true }));
  }

  async people() {
    const rows = await get("desk/on-duty");
    const once = new Map(rows.filter((row) => row.position_at).map((row) => [row.staff_id, row]));
    return [...once.values()].map((row) => personMark(row));
  }

  async patrol() {
    if (this.map.getZoom() < PATROL_FROM_ZOOM) { this.layers.patrol.group.clearLayers(); return null; }
    const view = this.map.getBounds();
    const bbox = [view.getWest(), view.getSouth(), view.getEast(), view.getNorth()].map((x) => x.toFixed(5)).join(",");
    const { features } = await get("desk/patrolled", { bbox });
    return features.map((feature) => L.geoJSON(feature, { pane: "ground", interactive: false,
      style: { color: css("--mark-green"), weight: feature.properties.covered ? 9 : 5, opacity: feature.properties.covered ? 0.6 : 0.35 } }));
  }
}
