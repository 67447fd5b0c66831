// A worker: fetches the streets' tiles, reads them, draws them and finds streets in them, so that the page stays free.
// Messages in: style, tile, drop, repaint, at, named; out: painted (with a bitmap), failed, answer.
const EXTENT = 4096;
const NEAR = 14;
const HIT_PX = 8;
const tiles = new Map(); // id → {streets: [{street, grid_left, grid_right, lines}], paths, near, side, ratio}
let style = null;

// ---- reading a Mapbox vector tile (its specification, version 2.1) ----

/** The fields of one message: calls `each[number]` with the reader at its value; others are skipped. */
function fields(reader, end, each) {
  while (reader.at < end) {
    const tag = varint(reader);
    const kind = tag & 7;
    const take = each[tag >> 3];
    if (take) take(kind === 2 ? varint(reader) : 0);
    else if (kind === 0) varint(reader);
    else if (kind === 2) { const length = varint(reader); reader.at += length; } else reader.at += kind === 1 ? 8 : 4;
  }
}

function varint(reader) {
  let value = 0;
  let scale = 1;
  for (;;) {
    const byte = reader.bytes[reader.at];
    reader.at += 1;
    value += (byte & 127) * scale;
    if (byte < 128) return value;
    scale *= 128;
  }
}

const decoder = new TextDecoder();
const words = (reader, length) => decoder.decode(reader.bytes.subarray(reader.at, (reader.at += length)));

/** The features of layer `segments`: properties as texts, each line as [x, y, x, y …] in tile units. */
function streetsOf(buffer) {
  const reader = { bytes: new Uint8Array(buffer), at: 0 };
  const found = [];
  fields(reader, reader.bytes.length, { 3: (length) => {
    const end = reader.at + length;
    const keys = [];
    const values = [];
    const features = [];
    let name = "";
    fields(reader, end, {
      1: (size) => { name = words(reader, size); },
      2: (size) => { features.push(reader.at, reader.at + size); reader.at += size; },
      3: (size) => { keys.push(words(reader, size)); },
      4: (size) => {
        let value = null;
        fields(reader, reader.at + size, { 1: (text) => { value = words(reader, text); } });
        values.push(value);
      },
    });
    if (name === "segments") for (let i = 0; i < features.length; i += 2) found.push(featureOf(reader, features[i], features[i + 1], keys, values));
    reader.at = end;
  } });
  return found;
}

function featureOf(reader, begin, end, keys, values) {
  const feature = { lines: [] };
  reader.at = begin;
  fields(reader, end, {
    2: (size) => {
      const stop = reader.at + size;
      while (reader.at < stop) feature[keys[varint(reader)]] = values[varint(reader)];
    },
    4: (size) => {
      const stop = reader.at + size;
      let x = 0;
      let y = 0;
      while (reader.at < stop) {
        const command = varint(reader);
        if ((command & 7) === 1) feature.lines.push([]);
        if ((command & 7) === 7) continue;
        const line = feature.lines[feature.lines.length - 1];
        for (let left = command >> 3; left > 0; left -= 1) {
          const right = varint(reader);
          const down = varint(reader);
          x += (right >> 1) ^ -(right & 1);
          y += (down >> 1) ^ -(down & 1);
          line.push(x, y);
        }
      }
    },
  });
  return feature;
}

// ---- drawing ----

const widthOf = (kind, zoom) => (zoom < 13 ? 1 : zoom < 14 ? 2 : zoom < 15 ? 2.6 : Math.max(2.2, style.width[kind] || 3));

/** Streets of one grid and width as one path, so that a tile is a dozen strokes and not a thousand. */
function pathsOf(streets, zoom) {
  const near = zoom >= NEAR;
  const paths = new Map();
  const path = (code, kind, shared) => {
    const px = widthOf(kind, zoom);
    const key = `${code}|${px}|${shared}`;
    if (!paths.has(key)) paths.set(key, { code, px, shared, path: new Path2D() });
    return paths.get(key).path;
  };
  for (const { grid_left, grid_right, class: kind, lines } of streets) {
    const sides = [[grid_left || grid_right || null, false]];
    if (near && grid_left && grid_right && grid_left !== grid_right) sides.push([grid_right, true]);
    for (const [code, shared] of sides) {
      const into = path(code, kind, shared);
      for (const line of lines) {
        into.moveTo(line[0], line[1]);
        for (let i = 2; i < line.length; i += 2) into.lineTo(line[i], line[i + 1]);
      }
    }
  }
  return [...paths.values()];
}

/** Until the grids have come, the colour that a grid's number has (maps/styles.py). */
function look(code) {
  const number = /(\d+)\D*$/.exec(code || "")?.[1];
  const colour = style.colours[code] || (number ? style.palette[Number(number) % style.palette.length] : style.no_grid);
  const chosen = style.chosen === code;
  return { colour, more: chosen ? 2 : 0, opacity: style.chosen && !chosen ? 0.35 : style.opacity };
}

// One sheet for all tiles: a canvas of its own for each would wait for the page's thread where there is no graphics card.
let sheet = null;

async function paint(id) {
  const { near, side, ratio, paths } = tiles.get(id);
  const size = side * ratio;
  if (sheet?.canvas.width !== size) sheet = new OffscreenCanvas(size, size).getContext("2d", { willReadFrequently: true });
  const draw = sheet;
  const scale = size / EXTENT;
  draw.resetTransform();
  draw.clearRect(0, 0, size, size);
  draw.setTransform(scale, 0, 0, scale, 0, 0);
  // From afar lines are thin: round ends would cost the most and show nothing.
  draw.lineCap = near ? "round" : "butt";
  draw.lineJoin = near ? "round" : "bevel";
  for (const { path, shared, colour, opacity, more, px } of paths.map((one) => ({ ...one, ...look(one.code) })).sort((a, b) => a.more - b.more)) {
    draw.strokeStyle = colour;
    draw.globalAlpha = opacity;
    draw.lineWidth = ((px + more) * ratio) / scale;
    // A street between two grids is its left one's line with its right one's dashes.
    draw.setLineDash(shared && near ? [(7 * ratio) / scale, (9 * ratio) / scale] : []);
    draw.stroke(path);
  }
  const bitmap = await createImageBitmap(sheet.canvas);
  postMessage({ kind: "painted", id, bitmap }, [bitmap]);
}

async function tile({ id, url, zoom, side, ratio }) {
  const held = { near: zoom >= NEAR, side, ratio, streets: [], paths: [] };
  tiles.set(id, held);
  try {
    const answer = await fetch(url, { credentials: "same-origin" });
    if (!answer.ok) throw new Error(String(answer.status));
    held.streets = streetsOf(await answer.arrayBuffer());
    held.paths = pathsOf(held.streets, zoom);
    if (tiles.get(id) === held) await paint(id);
  } catch (problem) {
    if (tiles.get(id) === held) postMessage({ kind: "failed", id, words: problem.message });
  }
}

// ---- finding ----

/** The street within a finger's breadth of a point; `asks` are tiles with the point in their units. */
function at({ asks }) {
  let best = null;
  let least = HIT_PX;
  for (const { id, x, y, unit } of asks) {
    for (const { lines, ...properties } of tiles.get(id)?.streets || []) for (const line of lines) {
      for (let i = 2; i < line.length; i += 2) {
        const far = distance(x, y, line[i - 2], line[i - 1], line[i], line[i + 1]) * unit;
        if (far < least) { least = far; best = properties; }
      }
    }
  }
  return best;
}

function distance(x, y, x0, y0, x1, y1) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const along = dx || dy ? Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy))) : 0;
  return Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
}

/** Of each street's name the longest piece in view: [name, length, points in the map's pixels]. */
function named({ asks, view }) {
  const longest = new Map();
  for (const { id, x, y, unit } of asks) {
    for (const { street, lines } of tiles.get(id)?.streets || []) {
      if (!street) continue;
      for (const line of lines) {
        let length = 0;
        for (let i = 2; i < line.length; i += 2) length += Math.hypot(line[i] - line[i - 2], line[i + 1] - line[i - 1]);
        if (length * unit <= (longest.get(street)?.length || 0)) continue;
        const points = [];
        let inside = false;
        for (let i = 0; i < line.length; i += 2) {
          const point = [line[i] * unit + x, line[i + 1] * unit + y];
          inside ||= point[0] >= view[0] && point[1] >= view[1] && point[0] <= view[2] && point[1] <= view[3];
          points.push(point);
        }
        if (inside) longest.set(street, { length: length * unit, points });
      }
    }
  }
  return [...longest].map(([name, { length, points }]) => [name, length, points]);
}

addEventListener("message", ({ data }) => {
  if (data.kind === "style") style = data.style;
  else if (data.kind === "tile") tile(data);
  else if (data.kind === "drop") tiles.delete(data.id);
  else if (data.kind === "repaint") { for (const [id, { paths }] of tiles) if (paths.length) paint(id); }
  else postMessage({ kind: "answer", turn: data.turn, found: data.kind === "at" ? at(data) : named(data) });
});
