// How far from its incident a step was made, as the record tells it: metres, and the phone's own error.
import { t } from "./messages.js";

export function awayWords({ away_m, off_m }) {
  if (away_m === undefined || away_m === null) return "";
  const words = t("incident.step_away", { m: away_m });
  return off_m ? `${words} (±${off_m})` : words;
}
