// Calls of the JSON interface. A refusal becomes a Problem with the server's own sentence.
import { t } from "./messages.js";

const csrf = () => document.querySelector('meta[name="csrf-token"]')?.content || "";

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || t(status ? "error.unexpected" : "error.no_connection"));
    this.status = status;
    this.code = body?.code || (status ? "error.unexpected" : "error.no_connection");
    this.field = body?.field || null;
    this.body = body;
  }

  /** No answer at all: the line is down or the server is away; trying again later is right. */
  get isLine() {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

export function query(path, values = {}) {
  const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(kept).toString();
  return `/api/v1/${path}${text ? `?${text}` : ""}`;
}

async function ask(url, options = {}) {
  let answer;
  try {
    answer = await fetch(url, {
      credentials: "same-origin",
      ...options,
      headers: { Accept: "application/json", "Accept-Language": document.documentElement.lang, ...options.headers },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, null);
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, body);
  return body;
}

export const get = (path, values, signal) => ask(query(path, values), { signal });

export const post = (path, body, headers = {}) =>
  ask(query(path), {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf(), ...headers },
  });

/** Any other method: PUT, PATCH, DELETE. */
export const call = (method, path, body = null) =>
  ask(query(path), {
    method,
    body: body === null ? null : JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf() },
  });

export const upload = (path, form, headers = {}) =>
  ask(query(path), { method: "POST", body: form, headers: { "X-CSRF-Token": csrf(), ...headers } });

/** The latest call wins: an earlier one still on its way is given up. */
export function latest() {
  let controller = null;
  return async (path, values) => {
    controller?.abort();
    controller = new AbortController();
    return get(path, values, controller.signal);
  };
}
