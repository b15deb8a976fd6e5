// What the labels bought: counts, the accuracy with its interval, the curve, who labels.

import { element, find, percent, shape, told } from "./drawing.js";

const STEADY_N = 10; // of fewer labels an interval spans everything, and the curve would only jump
const CURVE = { width: 300, height: 150, left: 44, right: 8, top: 10, bottom: 24 };

export function show_status(status) {
  find("mine").textContent = told(status.mine_today_n);
  find("open").textContent = told(status.open_n);
  find("answered").textContent = told(status.answered_n);
  const steady = status.series.filter((row) => row[0] >= STEADY_N);
  show_estimate(status.estimate, steady.length > 1 ? steady : status.series);
  show_bought(status.bought, status.estimate);
  show_people(status.annotators);
}

function show_estimate(estimate, series) {
  const curve = find("curve");
  if (estimate === null) {
    find("accuracy").textContent = "–";
    find("interval").textContent = "";
    find("estimate-told").textContent = "It can be said once the first labels are back.";
    curve.replaceChildren();
    return;
  }
  const { accuracy, low, high, labels_n } = estimate;
  find("accuracy").textContent = percent(accuracy);
  find("interval").textContent = `${percent(low)} to ${percent(high)}`;
  const width = (high - low) * 100;
  const then = series.length > 1 ? (series[0][3] - series[0][2]) * 100 : 0;
  const narrowed =
    then > width ? `, ${then.toFixed(0)} after the first ${told(series[0][0])} labels` : "";
  find("estimate-told").textContent =
    `95 % interval from ${told(labels_n)} labels: ${width.toFixed(1)} points wide${narrowed}.`;
  if (series.length > 1) curve.replaceChildren(curve_of(series));
  else curve.replaceChildren();
}

/** Accuracy by labels, its interval shaded. `series` has rows [labels_n, accuracy, low, high]. */
export function curve_of(series) {
  const { width, height, left, right, top, bottom } = CURVE;
  const [first, last] = [series[0], series.at(-1)];
  const floor = Math.max(0, Math.floor(Math.min(...series.map((r) => r[2])) * 10 + 1e-9) / 10);
  const ceiling = Math.min(1, Math.ceil(Math.max(...series.map((r) => r[3])) * 10 - 1e-9) / 10);
  const tall = ceiling - floor || 0.1;
  const step = tall > 0.45 ? 0.2 : 0.1;
  const wide = last[0] - first[0] || 1;
  const x = (labels_n) => left + ((labels_n - first[0]) / wide) * (width - left - right);
  const y = (share) => top + ((ceiling - share) / tall) * (height - top - bottom);
  const point = (at, share) => `${x(at).toFixed(1)} ${y(share).toFixed(1)}`;
  const upper = series.map((r) => point(r[0], r[3]));
  const lower = series.map((r) => point(r[0], r[2])).reverse();
  const lines = [];
  for (let at = ceiling; at > floor - 1e-9; at -= step) {
    lines.push(
      shape("line", { class: "grid", x1: left, x2: width - right, y1: y(at), y2: y(at) }),
      shape("text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, `${Math.round(at * 100)} %`),
    );
  }
  const words =
    `Accuracy from ${told(first[0])} to ${told(last[0])} labels: ` +
    `${percent(first[1])} (${percent(first[2])} to ${percent(first[3])}), ` +
    `then ${percent(last[1])} (${percent(last[2])} to ${percent(last[3])})`;
  return shape(
    "svg",
    { class: "curve", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words },
    ...lines,
    shape("path", { class: "spread", d: `M${[...upper, ...lower].join("L")}z` }),
    shape("path", { class: "line", d: `M${series.map((r) => point(r[0], r[1])).join("L")}` }),
    shape("circle", { class: "dot", cx: x(last[0]), cy: y(last[1]), r: 4 }),
    shape("text", { x: left, y: height - 6 }, told(first[0])),
    shape("text", { x: width - right, y: height - 6, "text-anchor": "end" }, `${told(last[0])} labels`),
  );
}

function show_bought(bought, estimate) {
  find("bought-card").hidden = !bought;
  if (!bought) return;
  const points = (bought.now - bought.first) * 100;
  find("bought").replaceChildren(
    element("span", { textContent: percent(bought.first, 0) }),
    element("span", { class: "quiet", textContent: " → " }),
    element("b", { textContent: percent(bought.now, 0) }),
  );
  const way = points >= 0 ? "more" : "fewer";
  find("bought-told").textContent =
    `${Math.abs(points).toFixed(1)} ${way} of a hundred events right than at first` +
    (estimate ? `, for ${told(estimate.labels_n)} labels.` : ".");
}

/** A typical time with its 95 % bounds: [low, typical, high], seconds, or null. */
function seconds(took) {
  if (!Array.isArray(took)) return "–";
  const [low, typical, high] = took.map((s) => s.toFixed(1));
  return `${typical} s (${low} to ${high})`;
}

function show_people(annotators) {
  const people = Array.isArray(annotators) ? annotators : [];
  find("people-card").hidden = people.length === 0;
  if (people.length === 0) return;
  const head = ["Name", "Answers", "Typical time", "Now"].map((words) => element("th", { scope: "col", textContent: words }));
  const rows = people.map((p) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", textContent: p.name }),
      element("td", { textContent: told(p.answered_n ?? 0) }),
      element("td", { textContent: seconds(p.took_s) }),
      element("td", { textContent: p.leased_n ? "labels" : "–" }),
    ),
  );
  find("people").replaceChildren(
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
}
