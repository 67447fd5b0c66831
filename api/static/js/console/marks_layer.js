// The same incidents on the map, in clusters that show their worst lamp.
import { h } from "../dom.js";
import { debounced } from "../dom.js";
import { latest } from "../api.js";
import { named, t, word } from "../messages.js";
import { badly, lampOf, mark } from "../marks.js";
import { draggable } from "./drag.js";

const L = window.L;
const WORST = ["worst", "red", "amber", "green", "waiting", "ended"];
const CELL_PX = 46; // of a long list the server counts what lies so near together
const NEAR_ZOOM = 17; // from here on nothing is clustered

export class MarksLayer {
  constructor({ map, clusters }, onChoose) {
    this.map = map;
    this.clusters = clusters;
    this.onChoose = onChoose;
    this.markers = new Map();
    this.ring = null;
    this.query = null;
    this.ask = latest();
    this.counted = L.layerGroup().addTo(map);
    map.on("moveend", debounced(120, () => { if (this.query) this.fetch(); }));
    window.gridward.cluster_icon = (cluster) => clusterIcon(cluster);
  }

  /** The marks of a list; with a `query` the list is only a part of it, and the server tells what lies in view. */
  show(items, query = null) {
    this.query = query;
    if (query) { this.fetch(); return; }
    this.counted.clearLayers();
    this.draw(items.filter((incident) => incident.location).map((incident) => this.marker(incident, incident.location,
      `${named(incident.category) || t("incident.no_category")} · ${word("status", incident.status)}`)));
  }

  draw(markers) {
    this.clusters.clearLayers();
    this.markers = new Map(markers.map((marker) => [marker.options.number, marker]));
    this.clusters.addLayers(markers);
  }

  marker(incident, at, words) {
    const marker = L.marker([at.lat, at.lon], {
      icon: L.divIcon({ className: "mark", html: mark(incident), iconSize: [22, 22] }),
      lamp: badly(incident) ? "worst" : lampOf(incident), keyboard: false, number: incident.number,
      alt: `${incident.number} ${named(incident.category)} ${word("status", incident.status)}`,
    });
    marker.bindTooltip(h("span", { text: words }), { direction: "top", offset: [0, -10] });
    marker.on("add", () => {
      const element = marker.getElement();
      if (!element || element.draggable) return;
      draggable(element, () => [incident.number]);
      element.addEventListener("mousedown", (event) => event.stopPropagation()); // else the map is dragged
    });
    return marker.on("click", () => this.onChoose(incident.number));
  }

  async fetch() {
    const view = this.map.getBounds().pad(0.1);
    const bbox = [Math.max(-180, view.getWest()), Math.max(-90, view.getSouth()), Math.min(180, view.getEast()), Math.min(90, view.getNorth())].map((x) => x.toFixed(6)).join(",");
    const cell = (360 / (256 * 2 ** this.map.getZoom())) * CELL_PX;
    const { sort: _, ...query } = this.query;
    try {
      const found = await this.ask("desk/marks", { ...query, bbox, cell: cell.toFixed(9) });
      if (!this.query) return;
      this.draw(found.marks.map((one) => this.marker(one, one, `${one.number} · ${word("status", one.status)}`)));
      this.counted.clearLayers();
      for (const one of found.clusters) {
        L.marker([one.lat, one.lon], { icon: countIcon(one.worst ? "worst" : one.lamp || "waiting", one.count), keyboard: false, alt: String(one.count) })
          .on("click", () => this.map.setView([one.lat, one.lon], this.map.getZoom() + 2)).addTo(this.counted);
      }
    } catch {
      // The list beside it says what is wrong; the marks that are there stay.
    }
  }

  /** Rings the place of the chosen incident; the ring is a layer of its own, so no cluster hides it. */
  choose(incident, { pan = true } = {}) {
    this.ring?.remove();
    this.ring = null;
    if (!incident?.location) return;
    const at = [incident.location.lat, incident.location.lon];
    this.ring = L.marker(at, { icon: L.divIcon({ className: "ring", html: mark(incident, 30), iconSize: [30, 30] }),
      interactive: false, keyboard: false, zIndexOffset: 2000, alt: "" }).addTo(this.map);
    if (!pan) return;
    if (this.map.getZoom() < NEAR_ZOOM - 1 || !this.map.getBounds().pad(-0.08).contains(at)) {
      this.map.setView(at, Math.max(NEAR_ZOOM - 1, this.map.getZoom()));
    }
  }
}

function clusterIcon(cluster) {
  const lamps = new Set(cluster.getAllChildMarkers().map((marker) => marker.options.lamp));
  const worst = WORST.find((lamp) => lamps.has(lamp)) || "ended";
  return countIcon(worst, cluster.getChildCount());
}

function countIcon(worst, count) {
  const size = count < 10 ? 34 : count < 100 ? 40 : 48;
  return L.divIcon({ className: `cluster lamp-${worst}`, html: h("span", { text: worst === "worst" ? `${count}!` : String(count) }), iconSize: [size, size] });
}
