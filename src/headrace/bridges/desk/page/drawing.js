// Small tools for the page: elements, numbers as people read them, lines of SVG. All text goes in as text.

const SVG = "http://www.w3.org/2000/svg";

export const find = (id) => document.getElementById(id);

/** An element of HTML. Children are elements or texts; a text never becomes markup. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("aria-") || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** An element of SVG. */
export function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const WHOLE = new Intl.NumberFormat("en");
const ROUNDED = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const ROUGH = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** A rounded number of three digits, for the ends of a range. */
export const roughly = (value) => (Math.abs(value) >= 1000 ? told(Math.round(value)) : told(value, ROUGH));

/** Whole numbers in full, others to five digits; very large and very small ones as powers of ten. */
export function told(value, rounded = ROUNDED) {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return String(value);
  if (size >= 1e12 || (size > 0 && size < 1e-4)) return value.toExponential(2).replace("e+", "e");
  return Number.isInteger(value) ? WHOLE.format(value) : rounded.format(value);
}

export const percent = (share, digits = 1) => `${(share * 100).toFixed(digits)} %`;

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min`;
}
