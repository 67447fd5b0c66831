// The same incidents on the map, in clusters that show their worst lamp.
import { h } from "../dom.js";
import { named, t, word } from "../messages.js";
import { lampOf, mark } from "../marks.js";

const L = window.L;
const WORST = ["red", "amber", "green", "waiting", "ended"];
const NEAR_ZOOM = 17; // from here on nothing is clustered

export class MarksLayer {
  constructor({ map, clusters }, onChoose) {
    this.map = map;
    this.clusters = clusters;
    this.onChoose = onChoose;
    this.markers = new Map();
    this.ring = null;
    window.gridward.cluster_icon = (cluster) => clusterIcon(cluster);
  }

  show(items) {
    this.clusters.clearLayers();
    this.markers.clear();
    for (const incident of items) {
      if (!incident.location) continue;
      const marker = L.marker([incident.location.lat, incident.location.lon], {
        icon: L.divIcon({ className: "mark", html: mark(incident), iconSize: [22, 22] }),
        lamp: lampOf(incident), keyboard: false,
        alt: `${incident.number} ${named(incident.category)} ${word("status", incident.status)}`,
      });
      marker.bindTooltip(h("span", { text: `${named(incident.category) || t("incident.no_category")} · ${word("status", incident.status)}` }),
        { direction: "top", offset: [0, -10] });
      marker.on("click", () => this.onChoose(incident.number));
      this.markers.set(incident.number, marker);
    }
    this.clusters.addLayers([...this.markers.values()]);
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
  const count = cluster.getChildCount();
  const size = count < 10 ? 34 : count < 100 ? 40 : 48;
  return L.divIcon({ className: `cluster lamp-${worst}`, html: h("span", { text: String(count) }), iconSize: [size, size] });
}
