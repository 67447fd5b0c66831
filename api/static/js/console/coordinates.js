// Coordinates that somebody typed: longitude and latitude in either order, told apart by where the town lies.
const PAIR = /^\s*[(（]?\s*(-?\d{1,3}(?:\.\d+)?)\s*[°]?\s*[,，;；\s]\s*(-?\d{1,3}(?:\.\d+)?)\s*[°]?\s*[)）]?\s*$/;
const AROUND_DEGREES = 0.5;

/** {lon, lat} of WGS 84, or null when the words are no coordinates or lie far from the town. */
export function coordinates(text) {
  const pair = PAIR.exec(text);
  const bounds = document.querySelector('meta[name="town-bounds"]')?.content.split(",").map(Number);
  if (!pair || !bounds) return null;
  const [west, south, east, north] = bounds;
  const there = ([lon, lat]) => lon > west - AROUND_DEGREES && lon < east + AROUND_DEGREES && lat > south - AROUND_DEGREES && lat < north + AROUND_DEGREES;
  const [first, second] = [Number(pair[1]), Number(pair[2])];
  const found = [[first, second], [second, first]].find(there);
  return found ? { lon: found[0], lat: found[1] } : null;
}
