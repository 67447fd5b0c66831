// WGS 84 to the datums of Chinese base maps and back, as grid/core/datums.py has it (a test compares the numbers).
const AXIS_M = 6378245.0;
const ECCENTRICITY2 = 0.00669342162296594323;
const BD_PI = (Math.PI * 3000.0) / 180.0;
const ROUNDS = 4;
const { PI, abs, cos, hypot, sin, sqrt, atan2 } = Math;

const inChina = (lon, lat) => lon >= 72.004 && lon <= 137.8347 && lat >= 0.8293 && lat <= 55.8271;

function shift(lon, lat) {
  const x = lon - 105.0;
  const y = lat - 35.0;
  const ripple = ((20.0 * sin(6.0 * x * PI) + 20.0 * sin(2.0 * x * PI)) * 2.0) / 3.0;
  let dLat = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + ripple;
  dLat += ((20.0 * sin(y * PI) + 40.0 * sin((y / 3.0) * PI)) * 2.0) / 3.0;
  dLat += ((160.0 * sin((y / 12.0) * PI) + 320.0 * sin((y * PI) / 30.0)) * 2.0) / 3.0;
  let dLon = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + ripple;
  dLon += ((20.0 * sin(x * PI) + 40.0 * sin((x / 3.0) * PI)) * 2.0) / 3.0;
  dLon += ((150.0 * sin((x / 12.0) * PI) + 300.0 * sin((x / 30.0) * PI)) * 2.0) / 3.0;
  const rad = (lat / 180.0) * PI;
  const magic = 1.0 - ECCENTRICITY2 * sin(rad) * sin(rad);
  return [(dLon * 180.0) / ((AXIS_M / sqrt(magic)) * cos(rad) * PI),
    (dLat * 180.0) / (((AXIS_M * (1.0 - ECCENTRICITY2)) / (magic * sqrt(magic))) * PI)];
}

function gcjFromWgs(lon, lat) {
  const [dx, dy] = shift(lon, lat);
  return [lon + dx, lat + dy];
}

function bdFromGcj(lon, lat) {
  const far = hypot(lon, lat) + 0.00002 * sin(lat * BD_PI);
  const angle = atan2(lat, lon) + 0.000003 * cos(lon * BD_PI);
  return [far * cos(angle) + 0.0065, far * sin(angle) + 0.006];
}

/** WGS 84 degrees as those of a datum: [lon, lat]; outside China's box unchanged. */
export function fromWgs84(lon, lat, datum) {
  if (datum === "wgs84" || !inChina(lon, lat)) return [lon, lat];
  const gcj = gcjFromWgs(lon, lat);
  return datum === "bd09" ? bdFromGcj(...gcj) : gcj;
}

/** The other way round, by going there again until it fits (below a millimetre). */
export function toWgs84(lon, lat, datum) {
  if (datum === "wgs84" || !inChina(lon, lat)) return [lon, lat];
  let [x, y] = [lon, lat];
  for (let round = 0; round < ROUNDS + 2; round += 1) {
    const [a, b] = fromWgs84(x, y, datum);
    [x, y] = [x + lon - a, y + lat - b];
  }
  return [x, y];
}
