// The features of a question: each by its kind, against what is usual.
// Values come from a log and may be anything: they go in as text, and links lead to http or https alone.

import { element, percent, roughly, shape, told } from "./drawing.js";

const SHOWN_N = 12;
const TEXT_LENGTH = 600;
const RARE = 0.05;
const BAR = { width: 200, height: 22, edge: 8 };

/** Fill the list; `more` is the button that shows the rest. */
export function show_features(list, more, features) {
  const weight_max = Math.max(0, ...features.map((f) => Math.abs(f.influence ?? 0)));
  const rows = features.map((feature) => row(feature, weight_max));
  list.classList.toggle("weightless", weight_max === 0);
  list.replaceChildren(...rows.slice(0, SHOWN_N));
  more.hidden = rows.length <= SHOWN_N;
  more.textContent = `Show ${rows.length - SHOWN_N} more features`;
  more.onclick = () => {
    list.append(...rows.slice(SHOWN_N));
    rows[SHOWN_N].tabIndex = -1;
    rows[SHOWN_N].focus();
    more.hidden = true;
  };
  return weight_max > 0;
}

/** One sentence for screen readers: the first three features, and how many there are. */
export function sentence(features) {
  if (features.length === 0) return "It has no features.";
  const first = features.slice(0, 3).map((f) => {
    const away = departure(f).words;
    return `${f.name} ${short(f.value)}${away ? `, ${away}` : ""}`;
  });
  const rest = features.length - first.length;
  return `${first.join("; ")}${rest > 0 ? `; and ${rest} more` : ""}.`;
}

const short = (value) => {
  const text = value === null ? "missing" : told(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
};

function row(feature, weight_max) {
  const away = departure(feature);
  const flag = away.words ? [element("span", { class: "flag", textContent: away.words })] : [];
  const wide = ["text", "image", "link"].includes(feature.kind) && feature.value !== null;
  const made = element("div", { class: "feature" });
  made.classList.toggle("unusual", away.is_far);
  made.classList.toggle("wide", wide);
  made.append(
    element("dt", {}, element("bdi", { textContent: feature.name })),
    element("dd", { class: "value" }, value_of(feature), ...flag),
    element("dd", { class: "usual" }, ...usual_of(feature)),
    element("dd", { class: "weight" }, ...weight_of(feature, weight_max)),
  );
  return made;
}

// ------------------------------------------------------------------------------- by its kind

function value_of({ kind, value, name }) {
  if (value === null || value === undefined) return element("span", { class: "quiet", textContent: "missing" });
  if (kind === "number" && typeof value === "number")
    return element("bdi", { class: "number", textContent: told(value), title: String(value) });
  if (kind === "image") return image(String(value), name);
  if (kind === "link") return link(String(value));
  return text(String(value));
}

function text(value) {
  if (value.length <= TEXT_LENGTH) return element("bdi", { class: "text", textContent: value });
  const shown = element("bdi", { class: "text", textContent: `${value.slice(0, TEXT_LENGTH)}…` });
  const all = element("button", { class: "plain", type: "button" }, `Show all ${told(value.length)} characters`);
  all.onclick = () => {
    shown.textContent = value;
    all.remove();
  };
  return element("span", {}, shown, " ", all);
}

function address(value, protocols) {
  try {
    const found = new URL(value);
    return protocols.includes(found.protocol) ? found : null;
  } catch {
    return null;
  }
}

function link(value) {
  const found = address(value, ["http:", "https:"]);
  if (found === null) return text(value);
  return element("a", {
    href: found.href,
    target: "_blank",
    rel: "noopener noreferrer nofollow",
    textContent: value.length > 200 ? `${value.slice(0, 200)}…` : value,
  });
}

function image(value, name) {
  const found = address(value, ["https:", "data:"]);
  const is_picture = found?.protocol === "https:" || /^data:image\//i.test(value);
  if (!is_picture) return link(value);
  const shown = element("img", { alt: `Image of ${name}`, decoding: "async", referrerPolicy: "no-referrer" });
  shown.onerror = () => {
    const failed = element("span", { class: "quiet", textContent: "This image could not be loaded: " });
    shown.replaceWith(failed, found.protocol === "data:" ? text(value.slice(0, 60)) : link(value));
  };
  shown.src = found.href;
  return shown;
}

// -------------------------------------------------------------------------- against the usual

/** How a value compares with usual ones, in words; "" if it is usual or that is unknown. */
function departure({ value, usual }) {
  const told_as = (words, is_far) => ({ words, is_far });
  if (!usual || value === null) return told_as("", false);
  if (usual.share !== undefined) return usual.share <= RARE ? told_as("rare", true) : told_as("", false);
  if (typeof value !== "number") return told_as("", false);
  const width = usual.high - usual.low;
  if (value > usual.high) {
    const is_far = value > usual.high + width;
    return told_as(is_far ? "far above usual" : "above usual", is_far);
  }
  if (value < usual.low) {
    const is_far = value < usual.low - width;
    return told_as(is_far ? "far below usual" : "below usual", is_far);
  }
  return told_as("", false);
}

function usual_of({ value, usual }) {
  if (!usual) return [];
  if (usual.share !== undefined) {
    if (value === null) return []; // a share is of the values that were there
    const words = `${percent(usual.share, usual.share < 0.1 ? 1 : 0)} of events`;
    return [share_bar(usual.share), element("span", { class: "ends" }, words)];
  }
  const words = `${roughly(usual.low)} to ${roughly(usual.high)}`;
  const spoken = `Usually ${words}, the middle ${roughly(usual.middle)}`;
  const bar = typeof value === "number" ? [range_bar(value, usual)] : [];
  return [...bar, element("span", { class: "ends", title: spoken }, words)];
}

/** Draw the usual range, its middle and the value; a value far out is an arrow at the edge. */
function range_bar(value, { low, middle, high }) {
  const { width, height, edge } = BAR;
  const reach = high - low || Math.abs(high) || 1;
  const [from, to] = [low - reach, high + reach];
  const x = (at) => edge + ((at - from) / (to - from)) * (width - 2 * edge);
  const y = height / 2;
  const out = value < from || value > to;
  const at = Math.min(width - edge, Math.max(edge, x(value)));
  const turn = value > to ? 1 : -1;
  const point = out
    ? shape("path", { class: "dot", d: `M${at - 4 * turn} ${y - 6}l${10 * turn} 6l${-10 * turn} 6z` })
    : shape("circle", { class: "dot", cx: at, cy: y, r: 5 });
  return shape(
    "svg",
    { class: "bar", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    shape("line", { class: "axis", x1: edge, x2: width - edge, y1: y, y2: y }),
    shape("rect", { class: "band", x: x(low), width: Math.max(2, x(high) - x(low)), y: y - 5, height: 10, rx: 3 }),
    shape("line", { class: "middle", x1: x(middle), x2: x(middle), y1: y - 7, y2: y + 7 }),
    point,
  );
}

function share_bar(share) {
  const { width, height } = BAR;
  const y = height / 2 - 4;
  return shape(
    "svg",
    { class: "bar", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    shape("rect", { class: "rail", width, y, height: 8, rx: 4 }),
    shape("rect", { class: "band", width: Math.max(4, share * width), y, height: 8, rx: 4 }),
  );
}

// The side that a feature speaks for would give the guess away: only how much it says is shown.
function weight_of({ influence }, weight_max) {
  if (influence === null || influence === undefined || weight_max === 0) return [];
  const share = Math.abs(influence) / weight_max;
  const bar = shape(
    "svg",
    { class: "bar", viewBox: "0 0 48 22", "aria-hidden": "true" },
    shape("rect", { class: "rail", width: 48, y: 8, height: 6, rx: 3 }),
    shape("rect", { class: "weighs", width: Math.max(3, 48 * share), y: 8, height: 6, rx: 3 }),
  );
  const words = `influence ${Math.round(share * 100)} of 100`;
  return [bar, element("span", { class: "unseen", textContent: words })];
}
