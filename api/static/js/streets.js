// Public streets on a map: plain lines and names, no grids and no people.
import { Ground } from "./ground.js";

const L = window.L;
const NEAR = 13;

export function showStreets(map) {
  const names = new Ground(map);
  const layer = L.geoJSON(null, { interactive: false, style: ({ properties }) => ({
    color: getComputedStyle(document.documentElement).getPropertyValue("--line-strong").trim(), opacity: 0.8,
    weight: window.gridward.styles.width[properties.class] || 2 }) }).addTo(map);
  let had = "";
  names.segments = async (bbox) => (await fetch(`/report/streets.geojson?bbox=${bbox}`)).json();
  async function draw() {
    if (map.getZoom() < NEAR) return;
    const view = map.getBounds().pad(0.15);
    const bbox = [view.getWest(), view.getSouth(), view.getEast(), view.getNorth()].map((x) => x.toFixed(4)).join(",");
    if (bbox === had) return;
    had = bbox;
    try {
      const collection = await names.segments(bbox);
      layer.clearLayers();
      layer.addData(collection);
      await names.label();
    } catch {
      had = ""; // without lines the map still takes a pin
    }
  }
  map.on("moveend", draw);
  draw();
}
