// The live connection. A browser's own reconnection gives up on an HTTP error and does not notice silence, so both are done here.

const SILENCE_MAX_MS = 6000;
const RETRY_MS = 1000;

/**
 * Keeps a stream open for as long as the page lives.
 * @param {{recap: Function, status: Function, changes: Function, lost: Function}} on `lost` is told why, in words.
 */
export function keepOpen(on) {
  let source = null;
  let silence = 0;

  function open() {
    source = new EventSource("/api/stream");
    for (const name of ["recap", "status", "changes"]) {
      source.addEventListener(name, (event) => {
        listen();
        on[name](JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => retry());
    listen();
  }

  function listen() {
    clearTimeout(silence);
    silence = setTimeout(retry, SILENCE_MAX_MS);
  }

  async function retry() {
    clearTimeout(silence);
    source.close();
    on.lost("Connection lost, retrying…");
    const why = await reason();
    if (why) on.lost(why);
    setTimeout(open, RETRY_MS + Math.random() * RETRY_MS);
  }

  open();
}

/** The stream itself cannot say why it was refused; a plain request can. */
async function reason() {
  try {
    const answer = await fetch("/api/status", { signal: AbortSignal.timeout(SILENCE_MAX_MS) });
    if (answer.status === 401) return "Signed out: open the login link again";
    return answer.ok ? null : `Refused with ${answer.status}, retrying…`;
  } catch {
    return null;
  }
}
