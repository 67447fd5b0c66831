// The phone's map: my grids' streets and outline (kept on the phone), my tasks, myself, and a cross to point with.
import { $, h, icon } from "../dom.js";
import { get } from "../api.js";
import { named, t } from "../messages.js";
import { mark } from "../marks.js";
import { dark, Ground } from "../ground.js";
import { keep, kept } from "./store.js";

const L = window.L;

export class FieldMap {
  constructor(account) {
    this.account = account;
    this.map = window.gridward.map;
    this.ground = new Ground(this.map);
    this.ground.segments = async (bbox) => this.namesIn(bbox);
    this.marks = L.layerGroup().addTo(this.map);
    this.outlines = L.layerGroup().addTo(this.map);
    this.mine = [];
    this.aiming = null;
    this.seen = false;
  }

  /** My streets from the phone at once, then fresh; somebody without a grid gets the town's when the map is opened. */
  async load(tasks) {
    this.tasks = tasks;
    const key = `ground:${this.account}`;
    this.mine = (await kept(key).catch(() => null)) || [];
    try {
      ({ features: this.mine } = await get("field/ground"));
      await keep(key, this.mine);
    } catch {
      // the streets kept before will do
    }
    this.draw();
  }

  draw() {
    const grids = new Map();
    const colour = dark() ? "#7db8ff" : "#14549c";
    this.outlines.clearLayers();
    for (const { geometry, properties } of this.mine) {
      if (properties.kind === "outline") {
        L.geoJSON(geometry, { interactive: false, style: { className: "my-outline", color: colour, weight: 3, dashArray: "8 6", fillOpacity: 0.06 } }).addTo(this.outlines);
      } else {
        if (!grids.has(properties.grid)) grids.set(properties.grid, []);
        grids.get(properties.grid).push(geometry.coordinates);
      }
    }
    const features = [...grids].map(([code, coordinates]) => ({ type: "Feature", geometry: { type: "MultiLineString", coordinates }, properties: { code, name: code, colour } }));
    if (features.length) this.ground.draw(features, { fit: false });
    this.drawn = features.length > 0;
  }

  async open() {
    this.map.invalidateSize();
    if (this.seen) return;
    this.seen = true;
    if (!this.drawn) {
      const features = await get("grids.geojson").then((answer) => answer.features, () => null) || (await kept("grids").catch(() => null)) || [];
      await keep("grids", features).catch(() => {});
      this.ground.draw(features, { fit: false });
    }
    const all = this.marks.getLayers().map((one) => one.getLatLng());
    if (this.dot) all.push(this.dot.getLatLng());
    if (all.length) this.map.fitBounds(L.latLngBounds(all).pad(0.25), { maxZoom: 16, animate: false });
    else this.ground.fit();
  }

  namesIn() {
    return { features: this.mine.filter(({ properties }) => properties.kind === "segment") };
  }

  pins(tasks, onOpen) {
    this.marks.clearLayers();
    for (const task of tasks) {
      const { incident } = task;
      if (!incident.location) continue;
      L.marker([incident.location.lat, incident.location.lon], {
        icon: L.divIcon({ className: "mark", html: mark({ ...incident, lamp: task.lamp || incident.lamp }, 40), iconSize: [48, 48] }),
        alt: named(incident.category) || incident.number, title: named(incident.category),
      }).on("click", () => !this.aiming && onOpen(task)).addTo(this.marks);
    }
  }

  me(at) {
    const place = [at.lat, at.lon];
    if (this.dot) {
      this.dot.setLatLng(place);
      this.ring.setLatLng(place).setRadius(at.accuracy_m || 0);
      return;
    }
    this.ring = L.circle(place, { radius: at.accuracy_m || 0, interactive: false, weight: 1, color: "#14549c", fillOpacity: 0.1 }).addTo(this.map);
    this.dot = L.marker(place, { icon: L.divIcon({ className: "me-dot", iconSize: [20, 20] }), keyboard: false, interactive: false, alt: t("field.me"), zIndexOffset: 2000 }).addTo(this.map);
  }

  centre(at) {
    this.map.setView([at.lat, at.lon], 17);
  }

  show(task) {
    this.centre(task.incident.location);
  }

  /** Points at a place: the map moves under a cross. Resolves with {lon, lat}, or null when given up. */
  aim(from) {
    if (from) this.map.setView([from.lat, from.lon], 18, { animate: false });
    this.map.getContainer().classList.add("aiming");
    const bar = h("div", { id: "aim", class: "card stack" }, h("p", { text: t("field.aim") }), h("div", { class: "two" },
      h("button", { class: "button big", type: "button", dataset: { aim: "cancel" }, on: { click: () => this.endAim(null) } }, t("common.cancel")),
      h("button", { class: "button big main", type: "button", dataset: { aim: "ok" }, on: { click: () => { const { lat, lng } = this.map.getCenter(); this.endAim({ lon: lng, lat }); } } }, icon("check"), t("field.aim_ok"))));
    $("#map-view").append(h("span", { id: "cross", "aria-hidden": "true" }), bar);
    return new Promise((resolve) => { this.aiming = resolve; });
  }

  endAim(at) {
    $("#aim")?.remove();
    $("#cross")?.remove();
    this.map.getContainer().classList.remove("aiming");
    const tell = this.aiming;
    this.aiming = null;
    tell?.(at);
  }
}
