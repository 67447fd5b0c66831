// The town's streets on folium's map: coloured by grid, named when near, a click tells whose they are.
// At a desk they come as tiles (`load`); on a phone they are lines that it keeps (`draw`).
import { get } from "./api.js";
import { debounced, h, icon } from "./dom.js";
import { t, word } from "./messages.js";

const L = window.L;
const POSTS = ["officer", "cleaner", "gardener", "maintainer", "leader"];
const NAMES_FROM_ZOOM = 15;
const GRID_NAMES = [12, 14];

export const dark = () => getComputedStyle(document.documentElement).colorScheme === "dark";

/** Four people and the leader of a grid, as a bubble. */
export function gridCard(grid, extra = []) {
  const crew = grid.crew || {};
  const rows = POSTS.flatMap((post) => [
    h("dt", {}, icon(post), " ", word("post", post)),
    h("dd", { text: crew[post]?.name || t("grid.nobody") }),
  ]);
  const swatch = h("span", { class: "swatch" });
  swatch.style.background = grid.colour;
  const metres = grid.length_m ? t("grid.length", { km: (grid.length_m / 1000).toFixed(1) }) : "";
  return h("div", { class: "bubble" },
    h("h3", {}, swatch, grid.name || grid.code),
    h("p", { class: "muted small", text: [grid.code, metres].filter(Boolean).join(" · ") }),
    h("dl", {}, rows), ...extra);
}

export class Ground {
  /** `streetTiles` makes the layer of streets for `load`: only desks carry its code. */
  constructor(map, { onGrid = null, streetTiles = null } = {}) {
    this.map = map;
    this.onGrid = onGrid;
    this.streetTiles = streetTiles;
    this.grids = new Map();
    this.lines = new Map();
    this.names = L.layerGroup();
    this.tiles = null;
    this.chosen = null;
    map.createPane("labels").style.zIndex = 450; // below the marks of incidents
    map.getPane("labels").style.pointerEvents = "none";
    if (!map.options.markerZoomAnimation) map.getPane("labels").classList.add("leaflet-zoom-hide");
    map.on("moveend", () => this.label());
    if (streetTiles) this.begin();
  }

  /** The town in view and its streets asked for at once, when the page says where it lies; people and names follow. */
  begin() {
    const written = document.querySelector('meta[name="town-bounds"]')?.content;
    if (!written || !(this.map.getSize().x > 0)) return;
    const [west, south, east, north] = written.split(",").map(Number);
    this.map.fitBounds([[south, west], [north, east]], { padding: [18, 18], animate: false });
    this.fitted = true;
    this.useTiles();
  }

  /** Draws every grid's streets; `features` from grids.geojson (fetched or kept offline). */
  draw(features, { fit = true } = {}) {
    for (const line of this.lines.values()) line.remove();
    this.lines.clear();
    this.grids.clear();
    for (const feature of features) {
      const grid = feature.properties;
      this.grids.set(grid.code, { ...grid, geometry: feature.geometry });
      if (!feature.geometry) continue;
      const line = L.geoJSON(feature, { style: () => this.style(grid) });
      line.on("click", (event) => {
        if (this.map.getContainer().classList.contains("aiming")) return; // the click is for the pin
        L.DomEvent.stopPropagation(event);
        this.open(grid.code, event.latlng);
      });
      line.on("mouseover", () => line.setStyle({ weight: 6, opacity: 1 }));
      line.on("mouseout", () => line.setStyle(this.style(grid)));
      line.addTo(this.map);
      this.lines.set(grid.code, line);
    }
    if (fit) this.fit();
    this.label();
  }

  /** Grids with their people from the server, their streets as tiles: the same work for any size of town. */
  async load({ fit = true } = {}) {
    const grids = await get("desk/grids");
    this.grids = new Map(grids.map((grid) => [grid.code, grid]));
    if (fit && !this.fitted) this.fit();
    if (!this.tiles) this.useTiles();
    else {
      this.tiles.repaint();
      if (this.loaded) this.tiles.redraw(); // the grids have changed
    }
    this.loaded = true;
    this.label();
    return this.grids;
  }

  useTiles() {
    const { grid: palette, no_grid, width } = window.gridward.styles;
    this.tiles = this.streetTiles(() => ({
      palette, no_grid, width, chosen: this.chosen, opacity: dark() ? 0.85 : 0.9,
      colours: Object.fromEntries([...this.grids].filter(([, grid]) => grid.colour).map(([code, grid]) => [code, grid.colour])),
    })).addTo(this.map);
    this.tiles.on("drawn", debounced(80, () => this.label()));
    const box = this.map.getContainer();
    this.map.on("click", async ({ latlng }) => {
      if (box.classList.contains("aiming")) return; // the click is for the pin
      const street = await this.tiles.at(latlng);
      if (street) this.open(street.grid_left || street.grid_right, latlng);
    });
    let asking = false;
    this.map.on("mousemove", async ({ latlng, originalEvent }) => {
      if (originalEvent.buttons || asking) return;
      asking = true;
      box.classList.toggle("over-street", Boolean(await this.tiles.at(latlng)));
      asking = false;
    });
  }

  /** The coloured streets and their names on the map, or not. */
  showStreets(on) {
    this.hiddenStreets = !on;
    for (const layer of [this.tiles, this.names]) if (layer) { if (on) layer.addTo(this.map); else layer.remove(); }
  }

  /** Where a grid's streets lie; null for a grid without any. */
  bounds(code) {
    if (this.lines.has(code)) return this.lines.get(code).getBounds();
    const [west, south, east, north] = this.grids.get(code)?.bbox || [];
    return west === undefined ? null : L.latLngBounds([south, west], [north, east]);
  }

  style(grid) {
    const chosen = this.chosen === grid.code;
    const faded = this.chosen && !chosen;
    return { color: grid.colour || "#8a93a3", weight: chosen ? 5 : 3, opacity: faded ? 0.35 : dark() ? 0.85 : 0.9 };
  }

  choose(code) {
    if (this.chosen === (code || null)) return;
    this.chosen = code || null;
    for (const [key, line] of this.lines) line.setStyle(this.style(this.grids.get(key)));
    this.lines.get(code)?.bringToFront();
    this.tiles?.repaint();
  }

  open(code, latlng) {
    const grid = this.grids.get(code);
    if (!grid) return;
    const extra = this.onGrid ? [h("button", { class: "button", type: "button", on: { click: () => this.onGrid(code) } },
      icon("filter"), t("grid.only_this"))] : [];
    L.popup({ maxWidth: 320 }).setLatLng(latlng).setContent(gridCard(grid, extra)).openOn(this.map);
  }

  fit() {
    const all = L.latLngBounds([]);
    for (const code of this.grids.keys()) {
      const own = this.bounds(code);
      if (own) all.extend(own);
    }
    if (all.isValid()) this.map.fitBounds(all, { padding: [18, 18], animate: false });
    return all.isValid();
  }

  /** Grid names from afar, street names from near: without a base map the lines must speak for themselves. */
  async label() {
    if (this.hiddenStreets) return;
    const zoom = this.map.getZoom();
    this.names.clearLayers();
    if (zoom >= GRID_NAMES[0] && zoom <= GRID_NAMES[1]) {
      const taken = [];
      for (const grid of this.grids.values()) {
        const centre = grid.label ? [grid.label[1], grid.label[0]] : middle(grid.geometry);
        if (!centre || !this.map.getBounds().contains(centre)) continue;
        const at = this.map.latLngToContainerPoint(centre);
        if (taken.some((other) => Math.abs(other.x - at.x) < 34 && Math.abs(other.y - at.y) < 14)) continue; // two on one spot tell nothing
        taken.push(at);
        this.write(centre, grid.code, 0, "grid-label");
      }
    } else if (zoom >= NAMES_FROM_ZOOM) {
      const names = await (this.tiles ? this.tiles.named() : this.streetsInView());
      if (this.map.getZoom() !== zoom || this.hiddenStreets) return; // another view by now, with its own names
      this.nameStreets(names);
    }
    this.names.addTo(this.map);
  }

  /** Of each street's name the longest segment in view: name → {length, line of [lon, lat]}. */
  async streetsInView() {
    const view = this.map.getBounds().pad(0.05);
    const bbox = [view.getWest(), view.getSouth(), view.getEast(), view.getNorth()].map((x) => x.toFixed(6)).join(",");
    let answer;
    try {
      answer = await (this.segments || ((box) => get("segments.geojson", { bbox: box })))(bbox);
    } catch {
      return new Map(); // names are a help, not the work: the map stays usable without them
    }
    const longest = new Map();
    for (const { geometry, properties } of answer.features || []) {
      const name = properties.street || properties.name;
      if (!name || geometry?.type !== "LineString") continue;
      const length = properties.length_m || geometry.coordinates.length;
      const inside = geometry.coordinates.some(([lon, lat]) => this.map.getBounds().contains([lat, lon]));
      if (inside && length > (longest.get(name)?.length || 0)) longest.set(name, { length, line: geometry.coordinates });
    }
    return longest;
  }

  nameStreets(longest) {
    this.names.clearLayers();
    const taken = [];
    for (const [name, { line }] of [...longest].sort((a, b) => b[1].length - a[1].length)) {
      const [from, to] = halfway(line).map((p) => this.map.latLngToContainerPoint([p[1], p[0]]));
      const at = from.add(to).divideBy(2);
      if (taken.some((other) => Math.abs(other.x - at.x) < 90 && Math.abs(other.y - at.y) < 22)) continue;
      taken.push(at);
      let turn = (Math.atan2(to.y - from.y, to.x - from.x) * 180) / Math.PI;
      if (turn > 90) turn -= 180;
      if (turn < -90) turn += 180;
      this.write(this.map.containerPointToLatLng(at), name, turn, "");
    }
  }

  write(place, text, turn, kind) {
    const span = h("span", { text });
    span.style.setProperty("--turn", `${turn.toFixed(1)}deg`);
    const label = L.divIcon({ className: `street-label ${kind}`, html: span, iconSize: [0, 0] });
    L.marker(place, { icon: label, pane: "labels", interactive: false, keyboard: false }).addTo(this.names);
  }
}

function halfway(line) {
  let best = [line[0], line[line.length - 1]];
  let longest = -1;
  for (let i = 1; i < line.length; i += 1) {
    const length = Math.hypot(line[i][0] - line[i - 1][0], line[i][1] - line[i - 1][1]);
    if (length > longest) {
      longest = length;
      best = [line[i - 1], line[i]];
    }
  }
  return best;
}

function middle(geometry) {
  const lines = geometry?.type === "MultiLineString" ? geometry.coordinates : geometry ? [geometry.coordinates] : [];
  const points = lines.flat();
  if (!points.length) return null;
  const lon = points.reduce((sum, p) => sum + p[0], 0) / points.length;
  const lat = points.reduce((sum, p) => sum + p[1], 0) / points.length;
  // The mean may lie off the grid's own streets: take its nearest vertex.
  const near = points.reduce((a, b) => (Math.hypot(a[0] - lon, a[1] - lat) <= Math.hypot(b[0] - lon, b[1] - lat) ? a : b));
  return [near[1], near[0]];
}

/** A movable pin. */
export function pin(map, lat, lon, onMove) {
  const holder = h("span", {});
  holder.append(icon("pin"));
  holder.firstChild.style.fill = "var(--surface)";
  const marker = L.marker([lat, lon], {
    icon: L.divIcon({ className: "pin", html: holder, iconSize: [36, 44], iconAnchor: [18, 42] }),
    draggable: Boolean(onMove), autoPan: true, keyboard: true, title: t("map.pin"), zIndexOffset: 1000,
  }).addTo(map);
  if (onMove) marker.on("dragend", () => onMove(marker.getLatLng()));
  return marker;
}
