// The desk where people label: which question is shown, what people do with it, and the keys.
// One thing happens at a time. `phase` is one of: starting, stranger, asking, sending, idle, viewing.

import { Away, Refused, Stranger, call, call_as, clock_ahead_ms, insist } from "./api.js";
import { clear_find, open_find, show_classes } from "./classes.js";
import { element, find, percent, span, told } from "./drawing.js";
import { sentence, show_features } from "./features.js";
import { order_round, show_rounds } from "./rounds.js";
import { show_status } from "./status.js";

const READ_MS = 250; // a key pressed sooner after a question came up was meant for the one before
const LEASE_TOLD_S = 60;
const IDLE_S = [2, 5, 10, 20];
const STATUS_S = 15;
const TOOK_S_MAX = 86_400; // the server takes no longer time for a question

const REASONS = {
  control: ["By lot", "Drawn blindly, so that the accuracy can be told honestly."],
  doubt: ["In doubt", "The model was unsure when it came."],
  "cold start": ["Beginning", "Drawn by lot while there are few labels of some class."],
  round: ["Best next", "Its label is expected to teach the model most."],
  drift: ["Drift", "The stream has changed; this shows how."],
  ordered: ["Ordered", "Chosen in a round that somebody ordered."],
  "second opinion": ["Second opinion", "Another annotator's label is to be checked."],
  quota: ["Few labels", "It may be of a class or a part of the stream that is short of labels."],
  audit: ["Audit", "Drawn blindly to check the model, since somebody ordered it."],
};

let phase = "starting";
let me = null;
let question = null;
let kept = null; // the answer on its way: {message, question}
let seen_guess = false;
let reading = 0; // the timer until a question takes answers
let seconds = { spent: 0, since: null };
let idle_n = 0;
let idle_timer = 0;
let give_up = () => {}; // ends the waiting for a server that is away
const sitting = [];

// --------------------------------------------------------------------------- saying and showing

function enter(next) {
  phase = next;
  document.body.dataset.state = next;
  find("login").hidden = next !== "stranger";
  find("question").hidden = !(question && (next === "asking" || next === "sending"));
  find("idle").hidden = !(next === "idle" || next === "viewing" || (next === "sending" && !question));
  for (const part of ["status", "counts", "who", "help-open"]) find(part).hidden = me === null || next === "stranger";
  find("question").setAttribute("aria-busy", String(next === "sending"));
  clearTimeout(idle_timer);
}

// A screen reader reads the same text twice only if it changed in between.
function say(words) {
  find("said").textContent = find("said").textContent === words ? `${words}\u00a0` : words;
}

function complain(words) {
  find("fault-text").textContent = words;
  find("fault").hidden = false;
}

const calm_down = () => (find("fault").hidden = true);

/** Wait for a server that is away, visibly; "Try now" and a network that is back shorten it. */
async function wait_for_server(fault, wait_s) {
  const words = kept ? `${fault.message} Your answer is kept and goes out by itself.` : fault.message;
  if (find("away").hidden) find("away-text").textContent = words;
  find("away-back").hidden = kept === null;
  find("away").hidden = false;
  const until = Date.now() + wait_s * 1000;
  const tell = () => {
    find("away-wait").textContent = `Next try in ${span((until - Date.now()) / 1000)}.`;
  };
  tell();
  const ticking = setInterval(tell, 1000);
  let timer, now;
  try {
    await new Promise((resolve, reject) => {
      now = resolve;
      timer = setTimeout(resolve, wait_s * 1000);
      find("away-now").onclick = resolve;
      window.addEventListener("online", resolve);
      give_up = () => reject(new DOMException("given up", "AbortError"));
    });
  } finally {
    clearInterval(ticking);
    clearTimeout(timer);
    window.removeEventListener("online", now);
    give_up = () => {};
  }
}

async function reach(method, path, body) {
  try {
    return await insist(method, path, body, wait_for_server);
  } finally {
    find("away").hidden = true;
  }
}

/** Run one action to its end; if the session is over, ask the person to log in. */
async function act(action) {
  try {
    await action();
  } catch (fault) {
    if (fault.name === "AbortError") return;
    if (fault instanceof Stranger) return log_out();
    complain(fault.message);
    if (!(fault instanceof Refused || fault instanceof Away)) throw fault;
  }
}

// ------------------------------------------------------------------------------------ logging in

function log_out() {
  give_up();
  if (me !== null) {
    const next = kept ? "Your answer is kept and goes out when you are back." : "Log in again to go on.";
    find("login-why").textContent = `Your session has ended, or somebody else logged in in this browser. ${next}`;
  }
  enter("stranger");
  find("token").focus();
  say(find("login-why").textContent);
}

async function log_in(token) {
  give_up();
  try {
    await reach("POST", "/v1/login", { token });
  } catch (fault) {
    if (!(fault instanceof Stranger || fault instanceof Refused)) throw fault;
    enter("stranger");
    find("token").focus();
    return complain(fault.message);
  }
  find("token").value = "";
  calm_down();
  enter("starting");
  await begin();
}

/** The token in the address, which is removed there at once: it would stay in the history. */
function token_of_address() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

async function begin() {
  call_as(null);
  me = await reach("GET", "/v1/me");
  call_as(me.name);
  find("who").textContent = me.role === "annotator" || me.role === me.name ? me.name : `${me.name}, ${me.role}`;
  show_keys();
  show_rounds(me.role === "operator");
  kept = read_kept();
  if (me.role === "viewer") {
    find("idle-title").textContent = "You are here to look";
    find("idle-text").textContent = "A viewer sees how things stand, and answers nothing.";
    find("idle-undo").hidden = true;
    enter("viewing");
  } else {
    await (kept ? deliver() : ask_next());
  }
  await refresh_status();
}

// An answer outlives a reload of the page, but not the tab; each name has its own.
const place = () => `headrace-kept:${me.name}`;

function keep(answer) {
  kept = answer;
  sessionStorage.removeItem(place());
  try {
    if (answer !== null) sessionStorage.setItem(place(), JSON.stringify(answer));
  } catch {
    // Its question is too large for the browser's storage: the answer outlives no reload.
  }
}

function read_kept() {
  const text = sessionStorage.getItem(place());
  return text === null ? null : JSON.parse(text);
}

// ----------------------------------------------------------------------------------- a question

async function ask_next(before = "") {
  if (phase !== "idle") enter(question ? "sending" : phase);
  const got = await reach("POST", "/v1/questions/next", {});
  if (got === null) return rest(before);
  idle_n = 0;
  if (got.classes.some((name) => !me.classes.includes(name))) {
    me = await reach("GET", "/v1/me"); // somebody added a class: keys may lead to others now
    show_keys();
  }
  show(got);
  say(`${before} New question, ${REASONS[got.why?.reason]?.[0] ?? "asked"}. ${sentence(got.features)}`.trim());
}

function show(got) {
  const is_same = got.request_id === question?.request_id; // after logging in again, or taken back
  question = got;
  document.body.dataset.ready = "no";
  clearTimeout(reading);
  reading = setTimeout(() => (document.body.dataset.ready = "yes"), READ_MS);
  const [short, long] = REASONS[got.why?.reason] ?? [got.why?.reason ?? "Asked", ""];
  find("why").textContent = got.opinion_n > 1 && short !== "Second opinion" ? `${short}, opinion ${got.opinion_n}` : short;
  find("why").title = got.why?.strategy ? `${got.why.strategy}, utility ${told(got.why.utility)}` : "";
  find("why-long").textContent = long;
  const has_weights = show_features(find("features"), find("more"), got.features);
  find("weight-head").hidden = !has_weights;
  show_classes({ classes: got.classes, keys: me.keys, can_add_class: me.can_add_class, on_choice: answer });
  clear_find();
  if (!is_same) {
    seen_guess = false;
    seconds = { spent: 0, since: document.hidden ? null : performance.now() };
    find("note").value = "";
    toggle_note(false);
    toggle_guess(false);
    find("guess-bars").replaceChildren();
  }
  enter("asking");
  tick();
  if (!document.hidden) window.scrollTo({ top: 0 });
  const lost = document.activeElement === document.body || !document.activeElement;
  if (lost) find("question-title").focus({ preventScroll: true });
}

function rest(before) {
  question = null;
  enter("idle");
  if (idle_n === 0) say(`${before} Nothing to label now. The next question comes up by itself.`.trim());
  const wait_s = IDLE_S[Math.min(idle_n, IDLE_S.length - 1)];
  idle_n += 1;
  // A hidden page leases no question: others would have to wait minutes for it.
  idle_timer = setTimeout(() => document.hidden || act(() => ask_next()), wait_s * 1000);
}

const seconds_spent = () =>
  (seconds.spent + (seconds.since === null ? 0 : performance.now() - seconds.since)) / 1000;

const lease_left_s = () => question.leased_until - (Date.now() + clock_ahead_ms) / 1000;

// ------------------------------------------------------------------------------------ answering

const is_ready = () => phase === "asking" && document.body.dataset.ready === "yes";

function answer(label) {
  if (!is_ready()) return;
  const message = {
    request_id: question.request_id,
    label,
    took_s: Math.min(TOOK_S_MAX, Math.round(seconds_spent() * 10) / 10),
    seen_guess,
  };
  const note = find("note").value.trim();
  if (note) message.note = note;
  calm_down();
  keep({ message, question });
  act(deliver);
}

async function deliver() {
  const { message } = kept;
  question = kept.question;
  enter("sending");
  let before = message.label === null ? "Cannot tell, noted." : `Answered ${message.label}.`;
  try {
    await reach("POST", "/v1/answers", message);
    sitting.push(message.took_s);
    tick();
    find("last").textContent = `Last: ${message.label ?? "cannot tell"}`;
  } catch (fault) {
    if (!(fault instanceof Refused)) throw fault;
    // 400 and 422: this answer is wrong, another one may not be. All else: the question is gone.
    complain(fault.message);
    if (fault.status === 400 || fault.status === 422) {
      keep(null);
      return show(question);
    }
    before = "";
  }
  keep(null);
  act(refresh_status);
  await ask_next(before);
}

async function skip() {
  if (!is_ready()) return;
  calm_down();
  const { request_id } = question;
  enter("sending");
  try {
    await reach("POST", `/v1/questions/${encodeURIComponent(request_id)}/skip`, {});
  } catch (fault) {
    if (!(fault instanceof Refused)) throw fault;
    complain(fault.message);
  }
  await ask_next("Skipped.");
}

async function undo() {
  calm_down();
  if (phase === "sending" && kept) {
    const back = kept.question;
    keep(null);
    give_up();
    show(back);
    return say("Taken back before it was sent. Answer again.");
  }
  if (phase !== "asking" && phase !== "idle") return;
  const before = phase;
  enter("sending");
  try {
    await reach("POST", "/v1/answers/undo", {});
  } catch (fault) {
    if (fault instanceof Refused && before === "asking") enter("asking");
    else if (fault instanceof Refused) rest("");
    throw fault;
  }
  find("last").textContent = "";
  act(refresh_status);
  await ask_next("Your last answer is taken back.");
}

// ------------------------------------------------------------------------------- guess and note

function toggle_guess(open) {
  find("guess").hidden = !open;
  find("guess-open").setAttribute("aria-expanded", String(open));
}

async function guess() {
  if (phase !== "asking") return;
  if (!find("guess").hidden) return toggle_guess(false);
  const asked = question;
  const { classes } = await call("GET", `/v1/questions/${encodeURIComponent(asked.request_id)}/guess`);
  if (question !== asked) return;
  seen_guess = true;
  const sorted = Object.entries(classes).sort((a, b) => b[1] - a[1]).slice(0, 6);
  find("guess-bars").replaceChildren(
    ...sorted.map(([name, p]) => {
      const meter = element("meter", { min: 0, max: 1, value: p, "aria-hidden": "true" });
      return element("li", {}, element("bdi", { textContent: name }), meter, element("span", { textContent: percent(p, 0) }));
    }),
  );
  toggle_guess(true);
  say(`The model's guess: ${sorted.map(([name, p]) => `${name} ${percent(p, 0)}`).join(", ")}.`);
}

function toggle_note(open) {
  find("note-box").hidden = !open;
  find("note-open").setAttribute("aria-expanded", String(open));
}

function note() {
  if (phase !== "asking") return;
  toggle_note(true);
  find("note").focus();
}

// ---------------------------------------------------------------------------------- status, time

async function refresh_status() {
  try {
    show_status(await call("GET", "/v1/status"));
  } catch (fault) {
    // The question says that the server is away; the figures stay as they were.
    if (!(fault instanceof Away)) throw fault;
  }
}

function tick() {
  if (phase === "asking") {
    find("clock").textContent = span(seconds_spent());
    const left = lease_left_s();
    const soon = left < LEASE_TOLD_S;
    if (soon) {
      const words = left > 0 ? `Yours for ${span(left)} more` : "Your time for it is over: it may go to somebody else";
      if (find("lease").hidden) say(left > 0 ? "Less than a minute is left for this question." : words);
      find("lease").textContent = words;
      find("lease").classList.toggle("over", left <= 0);
    }
    find("lease").hidden = !soon;
  } else if (phase === "idle") {
    find("clock").textContent = "–";
  }
  const times = [...sitting].sort((a, b) => a - b);
  find("sitting-n").textContent = told(sitting.length);
  if (times.length) find("sitting-time").textContent = `${times[times.length >> 1].toFixed(1)} s`;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden && seconds.since !== null) {
    seconds = { spent: seconds.spent + performance.now() - seconds.since, since: null };
  } else if (!document.hidden && seconds.since === null) {
    seconds.since = performance.now();
  }
  if (!document.hidden && phase === "idle") {
    idle_n = 0;
    act(() => ask_next());
  }
});

// ----------------------------------------------------------------------------------------- keys

const ACTIONS = {
  s: ["Skip: somebody else gets it", () => act(skip)],
  x: ["Cannot tell", () => answer(null)],
  u: ["Undo: take back the last answer", () => act(undo)],
  g: ["Show or hide the model's guess", () => act(guess)],
  n: ["Write a note with the answer", note],
  m: ["Show all features", () => find("more").hidden || find("more").click()],
  "/": ["Find a class by typing", () => phase === "asking" && open_find()],
  "?": ["This help", () => find("help").showModal()],
};

function show_keys() {
  const rows = [
    ...Object.entries(me.keys).map(([key, name]) => [key, name]),
    ...Object.entries(ACTIONS).map(([key, [words]]) => [key, words]),
    ["Esc", "Back from a text to the keys"],
  ];
  find("keys").replaceChildren(
    ...rows.map(([key, words]) =>
      element("div", {}, element("dt", {}, element("kbd", { textContent: key })), element("dd", {}, element("bdi", { textContent: words }))),
    ),
  );
}

/** The letter of the key: on keyboards with other letters, the Latin one in the same place. */
function key_of(event) {
  if (/^[1-9?/]$/.test(event.key)) return event.key;
  const letter = event.key.toLowerCase();
  if (/^[a-z]$/.test(letter)) return letter;
  return /^(?:Digit|Key)(\w)$/.exec(event.code)?.[1].toLowerCase() ?? "";
}

document.addEventListener("keydown", (event) => {
  // Held down on a button, Enter would press it again and again: for the next questions too.
  if (event.repeat && event.target.closest("button")) event.preventDefault();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
  if (find("help").open) return;
  const typing = event.target.closest("input, textarea, select");
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  if (event.key === "Escape") return calm_down();
  if (!find("keys-on").checked) return;
  const key = key_of(event);
  const name = me?.keys[key];
  if (key in ACTIONS) {
    event.preventDefault();
    ACTIONS[key][1]();
  } else if (name !== undefined && phase === "asking" && question.classes.includes(name)) {
    event.preventDefault();
    answer(name);
  }
});

find("note").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("note").blur();
});

for (const [id, key] of Object.entries({
  skip: "s", cannot: "x", undo: "u", "note-open": "n", "guess-open": "g", "help-open": "?", "idle-undo": "u",
})) find(id).addEventListener("click", ACTIONS[key][1]);
find("fault-close").addEventListener("click", calm_down);
find("away-back").addEventListener("click", () => act(undo));
find("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  act(() => log_in(find("token").value.trim()));
});
find("round-form").addEventListener("submit", (event) => {
  event.preventDefault();
  act(() => order_round(say));
});
find("keys-on").checked = localStorage.getItem("headrace-keys") !== "off";
find("keys-on").addEventListener("change", () =>
  localStorage.setItem("headrace-keys", find("keys-on").checked ? "on" : "off"),
);
window.addEventListener("hashchange", () => {
  const token = token_of_address();
  if (token !== null) act(() => log_in(token));
});

// ------------------------------------------------------------------------------------- beginning

setInterval(tick, 1000);
setInterval(() => {
  if (!document.hidden && me !== null && phase !== "stranger") act(refresh_status);
}, STATUS_S * 1000);
const token = token_of_address();
act(() => (token === null ? begin() : log_in(token)));
