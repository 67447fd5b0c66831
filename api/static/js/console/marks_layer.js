// The same incidents on the map, in clusters that show their worst lamp.
import { h } from "../dom.js";
import { named, t, word } from "../messages.js";
import { lampOf, mark } from "../marks.js";

const L = window.L;
const WORST = ["red", "amber", "green", "ended"];

export class MarksLayer {
  constructor({ map, clusters }, onChoose) {
    this.map = map;
    this.clusters = clusters;
    this.onChoose = onChoose;
    this.markers = new Map();
    this.chosen = null;
    window.gridward.cluster_icon = (cluster) => clusterIcon(cluster);
    clusters.on("animationend spiderfied", () => this.paint());
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
    this.paint();
  }

  choose(number, { pan = true } = {}) {
    this.chosen = number;
    const marker = this.markers.get(number);
    if (marker && pan) {
      const there = () => this.paint();
      if (this.clusters.getVisibleParent(marker) === marker) this.map.panInside(marker.getLatLng(), { padding: [80, 80] });
      else this.clusters.zoomToShowLayer(marker, there);
    }
    this.paint();
  }

  paint() {
    for (const [number, marker] of this.markers) {
      marker.getElement()?.classList.toggle("chosen", number === this.chosen);
      marker.setZIndexOffset(number === this.chosen ? 1000 : 0);
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
