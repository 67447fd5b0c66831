// Words of the header's search that are no number: the place they mean comes into view.
import { h, toast } from "../dom.js";
import { get, latest } from "../api.js";
import { t } from "../messages.js";
import { coordinates } from "./coordinates.js";

const L = window.L;
const NEAR_ZOOM = 17;
const MOST = 6;

export class Finder {
  /** `onMap` before something is shown: where list and map take turns, the map comes into view. */
  constructor(map, { onMap }) {
    Object.assign(this, { map, onMap });
    this.layer = L.layerGroup().addTo(map);
    this.ask = latest();
  }

  clear() {
    this.layer.clearLayers();
  }

  /** True when the words are coordinates in or near the town: they mean a place and nothing else. */
  coordinates(text) {
    const typed = coordinates(text);
    if (typed) this.show([{ ...typed, label: `${typed.lon}, ${typed.lat}` }]);
    return Boolean(typed);
  }

  /** An address, a crossing, a lamp post: the place, or the few that it may be. */
  async words(text) {
    try {
      const answer = await this.ask("geocode", { q: text });
      const sure = answer.lon !== null && !answer.waits;
      const found = sure ? [{ ...answer, label: answer.candidates?.[0]?.label || answer.street || text }] : answer.candidates || [];
      if (found.length) this.show(found.slice(0, MOST));
    } catch {
      // The list has been filtered by the words all the same.
    }
  }

  show(places) {
    this.clear();
    this.onMap();
    const bounds = L.latLngBounds([]);
    for (const { lat, lon, label } of places) {
      bounds.extend([lat, lon]);
      L.marker([lat, lon], { icon: L.divIcon({ className: "found", html: "", iconSize: [26, 26] }), keyboard: false, alt: label, zIndexOffset: 1500 })
        .bindTooltip(h("span", { text: label }), { direction: "top", offset: [0, -12], permanent: true }).addTo(this.layer);
    }
    if (places.length === 1) this.map.setView([places[0].lat, places[0].lon], Math.max(NEAR_ZOOM, this.map.getZoom()));
    else this.map.fitBounds(bounds, { padding: [70, 70], maxZoom: NEAR_ZOOM });
    toast(places.length === 1 ? t("console.landed", { place: places[0].label }) : t("console.landed_several", { n: places.length }));
  }
}
