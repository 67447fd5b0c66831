// The phone page without network: its shell comes from the phone. VERSION and SHELL are put before this by the server.
/* global VERSION, SHELL */
const CACHE = `gridward-field-${VERSION}`;
const WAIT_MS = 4000;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(SHELL);
    // The page that installs us was loaded before us: fetch it once more, so that the very first visit is kept too.
    const first = await fetch("/field", { redirect: "manual", credentials: "same-origin" }).catch(() => null);
    if (first?.ok) await cache.put("/field", first);
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith("gridward-field-") && name !== CACHE) await caches.delete(name);
    await self.clients.claim();
  })());
});

// The page: fresh when the network answers in time, else the copy; a way to the sign-in page is never kept.
async function page(request) {
  const cache = await caches.open(CACHE);
  const copy = await cache.match("/field");
  const answer = fetch(request).then(async (fresh) => {
    if (fresh.ok && !fresh.redirected) await cache.put("/field", fresh.clone());
    return fresh;
  });
  if (!copy) return answer;
  const late = new Promise((resolve) => setTimeout(() => resolve(copy), WAIT_MS));
  return Promise.race([answer, late]).catch(() => copy);
}

// Our own files: the copy at once, a fresh one for the next time.
async function file(request) {
  const cache = await caches.open(CACHE);
  const copy = await cache.match(request, { ignoreSearch: true });
  const fresh = fetch(request).then(async (answer) => {
    if (answer.ok) await cache.put(request, answer.clone());
    return answer;
  });
  if (!copy) return fresh;
  fresh.catch(() => {});
  return copy;
}

// Small pictures of my tasks: those seen once stay readable without network. Emptied when somebody else signs in.
async function thumbnail(request) {
  const cache = await caches.open("gridward-pictures");
  const copy = await cache.match(request);
  if (copy) return copy;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate" && url.pathname === "/field") event.respondWith(page(request));
  else if (url.pathname.startsWith("/static/")) event.respondWith(file(request));
  else if (/^\/api\/v1\/incidents\/[^/]+\/evidence\/\d+$/.test(url.pathname) && url.searchParams.get("size") === "thumbnail") event.respondWith(thumbnail(request));
});

// A push: shown as a notice, and whoever has the page open reads anew.
self.addEventListener("push", (event) => {
  let said = {};
  try {
    said = event.data?.json() ?? {};
  } catch {
    said = { body: event.data?.text() };
  }
  event.waitUntil((async () => {
    for (const open of await self.clients.matchAll({ type: "window" })) open.postMessage({ kind: "push" });
    await self.registration.showNotification(said.title || "Gridward", {
      body: said.body || "", tag: said.tag, renotify: Boolean(said.tag), requireInteraction: Boolean(said.urgent),
      icon: "/static/app-icon-192.png", badge: "/static/app-icon-192.png", data: { url: said.url || "/field" },
    });
  })());
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  // Only addresses of our own.
  const wanted = new URL(event.notification.data?.url || "/field", self.location.origin);
  const url = wanted.origin === self.location.origin ? wanted.pathname : "/field";
  event.waitUntil((async () => {
    const open = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const there = open.find((one) => new URL(one.url).pathname === url);
    return there ? there.focus() : self.clients.openWindow(url);
  })());
});
