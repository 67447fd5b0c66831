// A base map in GCJ-02 or BD-09 under vectors in WGS 84: every tile is put where its own middle really lies.
// Within one tile the datum's shift changes by less than a third of a pixel, so tiles and streets meet everywhere.
import { fromWgs84, toWgs84 } from "./datums.js";

const L = window.L;
const datum = document.querySelector('meta[name="base-map-datum"]')?.content || "wgs84";

/** Lets a tile layer fetch and place its tiles by a datum. */
export function align(layer, name = datum) {
  const shifted = (latlng) => { const [lng, lat] = fromWgs84(latlng.lng, latlng.lat, name); return L.latLng(lat, lng); };
  const plain = {
    bounds: layer._getTiledPixelBounds, position: layer._getTilePos,
  };
  // Which tiles: those under the view as the tiles' own datum sees it.
  layer._getTiledPixelBounds = (centre) => plain.bounds.call(layer, shifted(centre));
  layer._getTilePos = (coords) => {
    const map = layer._map;
    const size = layer.getTileSize();
    const middle = coords.scaleBy(size).add(size.divideBy(2));
    const there = map.unproject(middle, coords.z);
    const [lng, lat] = toWgs84(there.lng, there.lat, name);
    const moved = map.project(L.latLng(lat, lng), coords.z).subtract(middle);
    return plain.position.call(layer, coords).add(moved)._round();
  };
  if (layer._map) layer.redraw();
  return layer;
}

if (datum !== "wgs84" && window.gridward?.map) {
  window.gridward.map.eachLayer((layer) => { if (layer instanceof L.TileLayer) align(layer); });
}
