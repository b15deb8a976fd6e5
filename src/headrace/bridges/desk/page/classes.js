// The answers to choose from: buttons for the classes with a key, a type-ahead for the others.

import { element, find } from "./drawing.js";

const BUTTONS_N = 9;
const LISTED_N = 8;

let all = [];
let can_add = false;
let choose = () => {};
let drawn = "";
let marked = -1; // which one Enter takes; none before something was typed or an arrow pressed
let offered = [];

/** `keys` maps "1" to a class. Buttons stay the same elements while the classes do: focus stays. */
export function show_classes({ classes, keys, can_add_class, on_choice }) {
  [all, can_add, choose] = [classes, can_add_class, on_choice];
  const keyed = Object.entries(keys).filter(([, name]) => classes.includes(name));
  const taken = keyed.map(([, name]) => name);
  const free = classes.filter((name) => !taken.includes(name)).map((name) => ["", name]);
  const shown = [...keyed, ...free].slice(0, Math.max(keyed.length, BUTTONS_N));
  const now = JSON.stringify([shown, classes, can_add]);
  if (now === drawn) return;
  drawn = now;
  find("classes").replaceChildren(...shown.map(([key, name]) => button(key, name)));
  const has_more = classes.length > shown.length;
  find("find").hidden = !has_more && !can_add;
  find("find-text").placeholder = has_more ? "Find a class ( / )" : "Another class ( / )";
  close_list();
}

function button(key, name) {
  const made = element("button", { class: "class", type: "button" });
  if (key) {
    made.append(element("kbd", { textContent: key }));
    made.setAttribute("aria-keyshortcuts", key);
  }
  made.append(element("bdi", { textContent: name }));
  made.onclick = () => choose(name);
  return made;
}

/** Put the cursor into the type-ahead, if there is one. */
export function open_find() {
  if (find("find").hidden) return false;
  find("find-text").focus();
  refresh();
  return true;
}

export function clear_find() {
  find("find-text").value = "";
  close_list();
}

function refresh() {
  const typed = find("find-text").value.trim();
  const wanted = typed.toLowerCase();
  const starts = all.filter((name) => name.toLowerCase().startsWith(wanted));
  const holds = all.filter((name) => !starts.includes(name) && name.toLowerCase().includes(wanted));
  offered = [...starts, ...holds].slice(0, LISTED_N).map((name) => ({ name, words: name }));
  if (can_add && typed && !all.includes(typed)) offered.push({ name: typed, words: `Add the class “${typed}”` });
  marked = Math.min(marked, offered.length - 1);
  const list = find("find-list");
  list.replaceChildren(
    ...offered.map(({ words }, i) => {
      const option = element("li", { id: `option-${i}`, role: "option", "aria-selected": String(i === marked) });
      option.append(element("bdi", { textContent: words }));
      option.onpointerdown = (event) => event.preventDefault();
      option.onclick = () => pick(i);
      return option;
    }),
  );
  if (offered.length === 0) list.append(element("li", { class: "quiet", textContent: "No class is called that." }));
  list.hidden = false;
  find("find-text").setAttribute("aria-expanded", "true");
  if (marked >= 0) find("find-text").setAttribute("aria-activedescendant", `option-${marked}`);
  else find("find-text").removeAttribute("aria-activedescendant");
}

function close_list() {
  marked = -1;
  find("find-list").hidden = true;
  find("find-text").setAttribute("aria-expanded", "false");
  find("find-text").removeAttribute("aria-activedescendant");
}

function pick(i) {
  const { name } = offered[i];
  find("find-text").blur();
  clear_find();
  choose(name);
}

find("find-text").addEventListener("input", () => {
  marked = find("find-text").value.trim() ? 0 : -1;
  refresh();
});
find("find-text").addEventListener("focus", refresh);
find("find-text").addEventListener("blur", close_list);
find("find-text").addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && offered.length) {
    event.preventDefault();
    const from = marked < 0 && step < 0 ? 0 : marked;
    marked = (from + step + offered.length) % offered.length;
    refresh();
  } else if (event.key === "Enter" && marked >= 0) {
    event.preventDefault();
    pick(marked);
  } else if (event.key === "Escape") {
    event.stopPropagation();
    clear_find();
    find("find-text").blur();
  }
});
