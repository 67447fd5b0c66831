// The town's streets from vector tiles: Leaflet.VectorGrid decodes them, we draw them. However long the town's list of
// streets is, only what is in view is asked for, and a pan draws nothing that is drawn already.
const L = window.L;
const SIDE = 512; // a tile of the zoom before, drawn twice as large: a quarter of the requests
const EXTENT = 4096;
const HIT_PX = 8;

const NEAR = 14;
const width = (kind, zoom) => (zoom < 13 ? 1 : zoom < 14 ? 2 : zoom < 15 ? 2.6 : Math.max(2.2, window.gridward.styles.width[kind] || 3));

/** A layer of streets. `look(code)` tells colour, opacity and extra width of a grid's streets (code may be null). */
export function streetTiles(look) {
  const Streets = L.VectorGrid.Protobuf.extend({
    createTile(coords, done) {
      const tile = L.DomUtil.create("canvas", "leaflet-tile");
      const size = this.getTileSize();
      tile.side = size.x;
      tile.ratio = Math.min(2, window.devicePixelRatio || 1);
      tile.width = tile.height = size.x * tile.ratio;
      tile.near = coords.z >= NEAR;
      tile.streets = new Map(); // grid and width → path
      tile.features = [];
      this._getVectorTilePromise({ ...coords, z: coords.z - 1 }).then(({ layers }) => {
        tile.features = layers.segments?.features || [];
        sort(tile, coords.z);
        this.paint(tile);
        done(null, tile);
        this.fire("drawn");
      }, (problem) => done(problem, tile));
      return tile;
    },

    paint(tile) {
      const draw = tile.getContext("2d");
      draw.setTransform(1, 0, 0, 1, 0, 0);
      draw.clearRect(0, 0, tile.width, tile.height);
      const scale = (tile.side * tile.ratio) / EXTENT;
      draw.setTransform(scale, 0, 0, scale, 0, 0);
      // From afar lines are thin: round ends would cost the most and show nothing.
      draw.lineCap = tile.near ? "round" : "butt";
      draw.lineJoin = tile.near ? "round" : "bevel";
      const order = [...tile.streets.values()].map((one) => ({ ...one, ...look(one.code) })).sort((a, b) => a.more - b.more);
      for (const { path, shared, colour, opacity, more, px } of order) {
        draw.strokeStyle = colour;
        draw.globalAlpha = opacity;
        draw.lineWidth = ((px + more) * tile.ratio) / scale;
        // A street between two grids is its left one's line with its right one's dashes.
        draw.setLineDash(shared && tile.near ? [(7 * tile.ratio) / scale, (9 * tile.ratio) / scale] : []);
        draw.stroke(path);
      }
    },

    repaint() {
      for (const { el } of Object.values(this._tiles)) if (el.streets) this.paint(el);
    },

    /** The properties of the street within a finger's breadth of a place, or null. */
    at(place) {
      let best = null;
      let least = HIT_PX;
      this.each((tile, origin, unit) => {
        const point = this._map.project(place, origin.zoom).subtract(origin.at).divideBy(unit);
        const reach = HIT_PX / unit;
        if (point.x < -reach || point.y < -reach || point.x > EXTENT + reach || point.y > EXTENT + reach) return;
        for (const feature of tile.features) for (const line of feature.geometry) {
          for (let i = 1; i < line.length; i += 1) {
            const far = L.LineUtil.pointToSegmentDistance(point, L.point(line[i - 1].x, line[i - 1].y), L.point(line[i].x, line[i].y)) * unit;
            if (far < least) { least = far; best = feature.properties; }
          }
        }
      });
      return best;
    },

    /** Of each street's name the longest piece in view: name → {length, line of [lon, lat]}. */
    named() {
      const view = this._map.getPixelBounds();
      const longest = new Map();
      this.each((tile, origin, unit) => {
        for (const { geometry, properties } of tile.features) {
          if (!properties.street) continue;
          for (const line of geometry) {
            let length = 0;
            for (let i = 1; i < line.length; i += 1) length += Math.hypot(line[i].x - line[i - 1].x, line[i].y - line[i - 1].y);
            if (length * unit <= (longest.get(properties.street)?.length || 0)) continue;
            const points = line.map((p) => L.point(p.x, p.y).multiplyBy(unit).add(origin.at));
            if (points.some((p) => view.contains(p))) longest.set(properties.street, { length: length * unit, points, zoom: origin.zoom });
          }
        }
      });
      return new Map([...longest].map(([name, { length, points, zoom }]) => [name, { length, line: points.map((p) => {
        const place = this._map.unproject(p, zoom);
        return [place.lng, place.lat];
      }) }]));
    },

    /** Every drawn tile of this zoom with its corner in the map's pixels, and the pixels of one unit of the tile. */
    each(action) {
      for (const { el, coords, current } of Object.values(this._tiles)) {
        if (!current || !el.features?.length) continue;
        action(el, { at: L.point(coords.x, coords.y).multiplyBy(el.side), zoom: coords.z }, el.side / EXTENT);
      }
    },
  });
  return new Streets("/tiles/segments/{z}/{x}/{y}.mvt", { tileSize: SIDE, maxZoom: 20,
    fetchOptions: { credentials: "same-origin" }, keepBuffer: 1, updateWhenZooming: false });
}

/** Streets of one grid and width as one path, so that a tile is a dozen strokes and not a thousand. */
function sort(tile, zoom) {
  const path = (code, kind, shared) => {
    const px = width(kind, zoom);
    const key = `${code}|${px}|${shared}`;
    if (!tile.streets.has(key)) tile.streets.set(key, { code, px, shared, path: new Path2D() });
    return tile.streets.get(key).path;
  };
  for (const { geometry, properties } of tile.features) {
    const { grid_left, grid_right } = properties;
    const sides = [[grid_left || grid_right || null, false]];
    if (tile.near && grid_left && grid_right && grid_left !== grid_right) sides.push([grid_right, true]);
    for (const [code, shared] of sides) {
      const into = path(code, properties.class, shared);
      for (const line of geometry) line.forEach(({ x, y }, i) => (i ? into.lineTo(x, y) : into.moveTo(x, y)));
    }
  }
}
