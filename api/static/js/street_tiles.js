// The town's streets from vector tiles. However long the town's list of streets is, only what is in view is asked for;
// it is read and drawn by a worker (street_painter.js), so that the map moves while streets come.
const L = window.L;
const SIDE = 512; // a tile of the zoom before, drawn twice as large: a quarter of the requests
const EXTENT = 4096;
const HIT_PX = 8;

const StreetTiles = L.GridLayer.extend({
  initialize(look) {
    L.GridLayer.prototype.initialize.call(this, { tileSize: SIDE, maxZoom: 20, keepBuffer: 1, updateWhenZooming: false });
    this.look = look;
    this.waiting = new Map(); // tile → what to do when it is painted
    this.answers = new Map();
    this.turn = 0;
    this.painter = new Worker("/static/js/street_painter.js");
    this.painter.addEventListener("message", ({ data }) => this.hear(data));
    this.on("tileunload", ({ coords }) => this.painter.postMessage({ kind: "drop", id: idOf(coords) }));
    this.tell();
  },

  createTile(coords, done) {
    const canvas = L.DomUtil.create("canvas", "leaflet-tile");
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    canvas.width = canvas.height = SIDE * ratio;
    const id = idOf(coords);
    this.waiting.set(id, { canvas, done });
    const url = `/tiles/segments/${coords.z - 1}/${coords.x}/${coords.y}.mvt`;
    this.painter.postMessage({ kind: "tile", id, url, zoom: coords.z, side: SIDE, ratio });
    return canvas;
  },

  hear({ kind, id, bitmap, words, turn, found }) {
    if (kind === "answer") {
      this.answers.get(turn)?.(found);
      this.answers.delete(turn);
      return;
    }
    const first = this.waiting.get(id);
    this.waiting.delete(id);
    const canvas = first?.canvas || Object.values(this._tiles).find(({ coords }) => idOf(coords) === id)?.el;
    if (kind === "painted") canvas?.getContext("bitmaprenderer").transferFromImageBitmap(bitmap);
    if (!first) return;
    first.done(kind === "failed" ? new Error(words) : null, canvas);
    this.fire("drawn");
  },

  /** How streets look now: `look()` gives palette, colours by grid, the chosen grid. */
  tell() {
    this.painter.postMessage({ kind: "style", style: this.look() });
  },

  repaint() {
    this.tell();
    this.painter.postMessage({ kind: "repaint" });
  },

  ask(message) {
    this.turn += 1;
    this.painter.postMessage({ ...message, turn: this.turn });
    return new Promise((answer) => this.answers.set(this.turn, answer));
  },

  /** The properties of the street within a finger's breadth of a place, or null. */
  at(place) {
    const asks = this.inView((origin, unit, zoom) => {
      const { x, y } = this._map.project(place, zoom).subtract(origin).divideBy(unit);
      const reach = HIT_PX / unit;
      return x < -reach || y < -reach || x > EXTENT + reach || y > EXTENT + reach ? null : { x, y };
    });
    return asks.length ? this.ask({ kind: "at", asks }) : Promise.resolve(null);
  },

  /** Of each street's name the longest piece in view: name → {length, line of [lon, lat]}. */
  async named() {
    const { min, max } = this._map.getPixelBounds();
    const zoom = this._map.getZoom();
    const asks = this.inView((origin) => ({ x: origin.x, y: origin.y }));
    const found = await this.ask({ kind: "named", asks, view: [min.x, min.y, max.x, max.y] });
    return new Map(found.map(([name, length, points]) => [name, { length, line: points.map((point) => {
      const place = this._map.unproject(point, zoom);
      return [place.lng, place.lat];
    }) }]));
  },

  /** Every tile of this zoom for which `ask` gives something, with its corner in the map's pixels and a tile unit's size. */
  inView(ask) {
    const unit = SIDE / EXTENT;
    return Object.values(this._tiles || {}).filter(({ current }) => current).flatMap(({ coords }) => {
      const asked = ask(L.point(coords.x, coords.y).multiplyBy(SIDE), unit, coords.z);
      return asked ? [{ id: idOf(coords), unit, ...asked }] : [];
    });
  },
});

const idOf = ({ x, y, z }) => `${x}/${y}/${z}`;

/** A layer of streets; `look()` tells {palette, no_grid, width, colours, chosen, opacity} whenever it changed. */
export const streetTiles = (look) => new StreetTiles(look);
