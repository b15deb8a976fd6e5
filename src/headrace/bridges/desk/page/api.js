// HTTP with the desk: headers, faults, waits. Nothing here touches the page.

/** No reply, or the server's own fault: the same call may be sent again. */
export class Away extends Error {
  constructor(message, after_s = 0) {
    super(message);
    this.after_s = after_s;
  }
}

/** Nobody is logged in, or not any more. */
export class Stranger extends Error {}

/** The server refuses the call, and would refuse it again. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const TIMEOUT_MS = 10_000;
const WAIT_S_MAX = 30;

/** The server's clock less ours, in milliseconds: the ends of leases are in the server's time. */
export let clock_ahead_ms = 0;

let named = {};

/** Who the page says you are. A login in another tab changes the session of this one too: then calls are refused. */
export function call_as(name) {
  named = name === null ? {} : { "X-Headrace-Name": encodeURIComponent(name) };
}

/** The reply's JSON; null where it has none. */
export async function call(method, path, body, headers = {}) {
  let reply, text;
  try {
    reply = await fetch(path, {
      method,
      headers: {
        "X-Headrace": "1", // a form of another site cannot send it
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...named,
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await reply.text();
  } catch {
    throw new Away("The desk cannot be reached.");
  }
  const date = Date.parse(reply.headers.get("Date") ?? "");
  if (!Number.isNaN(date)) clock_ahead_ms = date - Date.now();
  let said = null;
  try {
    said = text === "" ? null : JSON.parse(text);
  } catch {
    if (reply.ok) throw new Away("Something that is not the desk replied.");
  }
  if (reply.ok) return said;
  const why = typeof said?.error === "string" ? said.error : `The desk replied ${reply.status}.`;
  if (reply.status === 401) throw new Stranger(why);
  if (reply.status === 429 || reply.status >= 500)
    throw new Away(why, Number(reply.headers.get("Retry-After")) || 0);
  throw new Refused(why, reply.status);
}

/**
 * As `call`, again and again while the server is away, with doubling waits.
 * `wait(fault, seconds)` informs people, and resolves when it is time; it may throw to give up.
 */
export async function insist(method, path, body, wait) {
  const headers = named; // somebody else may log in meanwhile
  for (let wait_s = 1; ; wait_s = Math.min(WAIT_S_MAX, wait_s * 2)) {
    try {
      return await call(method, path, body, headers);
    } catch (fault) {
      if (!(fault instanceof Away)) throw fault;
      await wait(fault, Math.max(wait_s, fault.after_s));
    }
  }
}
