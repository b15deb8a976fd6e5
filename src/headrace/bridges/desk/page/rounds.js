// An operator orders a round: a number of questions at once, whatever the stream does.

import { Away, Refused, call } from "./api.js";
import { find, told } from "./drawing.js";

const LOOK_MS = 1_500;
const LOOKS_N = 40;

let key = ""; // of an order whose end is not known: sent again it is the same order

export function show_rounds(is_operator) {
  find("round-card").hidden = !is_operator;
}

/** Order a round and follow it to its end; the card shows its outcome. */
export async function order_round(say) {
  const labels = find("round-labels").valueAsNumber;
  const tell = (words) => {
    find("round-told").textContent = words;
    say(words);
  };
  find("round-order").disabled = true;
  try {
    key ||= Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
    await call("POST", "/v1/rounds", { labels, reason: "ordered at the desk" }, { "Idempotency-Key": key });
    tell("Ordered.");
    tell(await end_of(key));
    key = "";
  } catch (fault) {
    if (fault instanceof Refused) key = "";
    else if (!(fault instanceof Away)) throw fault;
    tell(fault.message);
  } finally {
    find("round-order").disabled = false;
  }
}

async function end_of(ordered) {
  for (let i = 0; i < LOOKS_N; i++) {
    const { state, asked_n, why } = await call("GET", `/v1/rounds/${encodeURIComponent(ordered)}`);
    if (state === "asked") return `${told(asked_n)} ${asked_n === 1 ? "question is" : "questions are"} asked.`;
    if (state === "refused") return why || "No round was opened.";
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return "Ordered; the stream has not come to it yet.";
}

// Another number is another order.
find("round-labels").addEventListener("input", () => {
  key = "";
});
