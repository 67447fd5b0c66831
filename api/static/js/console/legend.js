// The legend, drawn with the very marks it explains.
import { $, fill, h } from "../dom.js";
import { mark } from "../marks.js";
import { t } from "../messages.js";

function neutral(status) {
  const sign = mark({ status }, 15);
  sign.setAttribute("class", "sign lamp-ended");
  return sign;
}

export function drawLegend() {
  const lamps = ["green", "amber", "red", "worst", "waiting"].map((lamp) => [
    mark({ status: "filed", lamp: lamp === "waiting" ? null : lamp, worst: lamp === "worst" }, 15), t(`legend.${lamp}`)]);
  const shapes = ["filed", "dispatched", "in_disposal", "checking", "suspended", "closed"].map((status) => [
    neutral(status), t(`legend.${status}`)]);
  fill($("#legend"), [...lamps, ...shapes].map(([sign, text]) => h("li", {}, sign, text)));
}
