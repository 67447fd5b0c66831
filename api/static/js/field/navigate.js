// One tap to the phone's own map app, in the datum that app speaks. Formulas as in grid/core/datums.py.
const AXIS_M = 6378245.0;
const ECCENTRICITY2 = 0.00669342162296594323;
const BD_PI = (Math.PI * 3000) / 180;

export const APPS = ["phone", "amap", "baidu", "tencent"];
const KEY = "gridward_field_app";

export const chosenApp = () => (APPS.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : "phone");
export const chooseApp = (name) => localStorage.setItem(KEY, name);

const inChina = (lon, lat) => lon >= 72.004 && lon <= 137.8347 && lat >= 0.8293 && lat <= 55.8271;

export function toGcj02(lon, lat) {
  if (!inChina(lon, lat)) return [lon, lat];
  const { sin, sqrt, abs, cos, PI } = Math;
  const x = lon - 105;
  const y = lat - 35;
  const root = sqrt(abs(x));
  const wave = ((20 * sin(6 * x * PI) + 20 * sin(2 * x * PI)) * 2) / 3;
  let north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + wave;
  north += ((20 * sin(y * PI) + 40 * sin((y / 3) * PI)) * 2) / 3;
  north += ((160 * sin((y / 12) * PI) + 320 * sin((y * PI) / 30)) * 2) / 3;
  let east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + wave;
  east += ((20 * sin(x * PI) + 40 * sin((x / 3) * PI)) * 2) / 3;
  east += ((150 * sin((x / 12) * PI) + 300 * sin((x / 30) * PI)) * 2) / 3;
  const radians = (lat / 180) * PI;
  const magic = 1 - ECCENTRICITY2 * sin(radians) ** 2;
  const meridian = (AXIS_M * (1 - ECCENTRICITY2)) / (magic * sqrt(magic));
  const parallel = (AXIS_M / sqrt(magic)) * cos(radians);
  return [lon + (east * 180) / (parallel * PI), lat + (north * 180) / (meridian * PI)];
}

export function toBd09(lon, lat) {
  if (!inChina(lon, lat)) return [lon, lat];
  const [x, y] = toGcj02(lon, lat);
  const far = Math.hypot(x, y) + 0.00002 * Math.sin(y * BD_PI);
  const angle = Math.atan2(y, x) + 0.000003 * Math.cos(x * BD_PI);
  return [far * Math.cos(angle) + 0.0065, far * Math.sin(angle) + 0.006];
}

/** The address that opens the way to a WGS 84 place in a map app. */
export function wayTo({ lon, lat }, name, app = chosenApp()) {
  const said = encodeURIComponent(name || "");
  const six = (pair) => pair.map((value) => value.toFixed(6));
  if (app === "amap") {
    const [x, y] = six(toGcj02(lon, lat));
    return `https://uri.amap.com/navigation?to=${x},${y},${said}&mode=walk&coordinate=gaode&src=gridward&callnative=1`;
  }
  if (app === "tencent") {
    const [x, y] = six(toGcj02(lon, lat));
    return `qqmap://map/routeplan?type=walk&to=${said}&tocoord=${y},${x}&referer=gridward`;
  }
  if (app === "baidu") {
    const [x, y] = six(toBd09(lon, lat));
    return `baidumap://map/direction?destination=name:${said}|latlng:${y},${x}&coord_type=bd09ll&mode=walking&src=gridward`;
  }
  const [x, y] = six([lon, lat]);
  return `geo:${y},${x}?q=${y},${x}${said ? `(${said})` : ""}`;
}
