// Pushes to this phone: asked for by its owner, never left to the next person who signs in on it.
import { get, post } from "../api.js";

const KEY = "gridward_field_push";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/").padEnd(Math.ceil(text.length / 4) * 4, "=")), (c) => c.charCodeAt(0));
const able = () => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

async function subscription() {
  return able() ? (await navigator.serviceWorker.ready).pushManager.getSubscription() : null;
}

/** "none" where the phone cannot, "denied", "on" or "off". */
export async function pushState(account) {
  if (!able()) return "none";
  if (Notification.permission === "denied") return "denied";
  return (await subscription()) && localStorage.getItem(KEY) === account ? "on" : "off";
}

export async function pushOn(account) {
  if ((await Notification.requestPermission()) !== "granted") return;
  const ready = await navigator.serviceWorker.ready;
  const { key } = await get("push/key");
  const made = await ready.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
  await post("push/subscriptions", made.toJSON());
  localStorage.setItem(KEY, account);
}

export async function pushOff() {
  const made = await subscription();
  if (!made) return;
  await post("push/unsubscribe", { endpoint: made.endpoint }).catch(() => {});
  await made.unsubscribe();
  localStorage.removeItem(KEY);
}

/** Somebody else has signed in on this phone: the pushes of the one before end here. */
export async function endStrangersPush(account) {
  const before = localStorage.getItem(KEY);
  if (before && before !== account) {
    await (await subscription())?.unsubscribe();
    localStorage.removeItem(KEY);
  }
}
