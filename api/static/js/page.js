// Every page: theme and language switches.
import { $, $$ } from "./dom.js";

function keep(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`;
}

$("[data-theme-switch]")?.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = getComputedStyle(root).colorScheme === "dark";
  root.dataset.theme = dark ? "light" : "dark";
  keep("gridward_theme", root.dataset.theme);
});

for (const link of $$("[data-language]")) {
  link.addEventListener("click", () => keep("gridward_lang", link.dataset.language));
}
