// The page's sentences, put into the page by the server in the reader's language.
const texts = JSON.parse(document.getElementById("messages")?.textContent || "{}");

export const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";

export const known = (key) => Object.hasOwn(texts, key);

/** The sentence of `key` with {places} filled; the key itself when it is missing. */
export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (values[name] ?? whole));
}

/** A word for a code of the server: t("status.filed"); the bare code when the word is not known. */
export function word(family, code) {
  const key = `${family}.${code}`;
  return known(key) ? t(key) : code;
}

/** The name of something that has name_zh and name_en. */
export const named = (thing) => (thing ? thing[`name_${language}`] || thing.name || thing.name_zh || "" : "");
