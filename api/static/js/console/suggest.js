// Categories suggested from words: a help for the typist with its certainty and who says so, never a decision.
import { get } from "../api.js";
import { named, t } from "../messages.js";

/** The likeliest categories of a text, best first; none when the server has no answer. */
export async function suggestions(text, ask = get, count = 4) {
  const words = text.trim().slice(0, 4000);
  if (!words) return [];
  try {
    return (await ask("categories/suggestions", { q: words, limit: count })).items;
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    return [];
  }
}

export const share = (found) => Math.round(found.certainty * 100);

/** "Bin overflowing · 83 % (past incidents)". */
export const told = (found) => t("suggest.one", { name: named(found), share: share(found), source: t(`suggest.source.${found.source}`) });
