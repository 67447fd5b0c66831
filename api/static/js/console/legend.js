// The legend, drawn with the very marks it explains.
import { $, fill, h } from "../dom.js";
import { mark } from "../marks.js";
import { t } from "../messages.js";

export function drawLegend() {
  const lamps = ["green", "amber", "red"].map((lamp) => [mark({ status: "filed", lamp }, 15), t(`legend.${lamp}`)]);
  const shapes = ["filed", "dispatched", "in_disposal", "checking", "suspended", "closed"].map((status) => [
    mark({ status, lamp: "green" }, 15), t(`legend.${status}`)]);
  fill($("#legend"), [...lamps, ...shapes].map(([sign, text]) => h("li", {}, sign, text)));
}
