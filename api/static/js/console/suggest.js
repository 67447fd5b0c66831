// Categories whose name stands, whole or in part, in the sentence: a help for the typist, never a decision.
import { language, named } from "../messages.js";

const LITTLE = new Set(["the", "and", "for", "with", "not", "from", "are", "has", "near", "street", "road"]);

function pieces(text) {
  if (language === "zh") {
    const han = text.replace(/[^\p{Script=Han}]/gu, "");
    return new Set(Array.from({ length: Math.max(0, han.length - 1) }, (_, i) => han.slice(i, i + 2)));
  }
  return new Set(text.toLowerCase().split(/[^a-z]+/).filter((w) => w.length > 2 && !LITTLE.has(w)).map((w) => w.replace(/(ies|s|ing|ed)$/, "")));
}

export function suggestions(text, categories, count = 4) {
  const said = pieces(text);
  if (!said.size) return [];
  const scored = [];
  for (const category of categories) {
    const name = pieces(named(category));
    let score = 0;
    for (const piece of name) if (said.has(piece)) score += 1;
    if (score) scored.push([score / Math.sqrt(name.size || 1), category]);
  }
  return scored.sort((a, b) => b[0] - a[0]).slice(0, count).map(([, category]) => category);
}
