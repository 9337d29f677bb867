// The WebSocket: hello with resume, heartbeat, reconnect with jittered back-off. It knows frames, not what they mean;
// `store.js` does.

const BACKOFF_FIRST_MS = 250;
const BACKOFF_LAST_MS = 10_000;
const PING_EVERY_MS = 20_000;
const ANSWER_WITHIN_MS = 10_000;

/** Close codes of a token that is not or no longer good: without a resume token the access token is renewed before the next hello. */
const NEEDS_TOKEN = new Set([4001, 4004]);
/** The session was revoked: only a new login helps. */
const SESSION_REVOKED = 4003;

/**
 * Events: `up` {resumed}, `down` {retryInMs}, `frame` {name, body}, `ended` (log in again).
 */
export class Connection extends EventTarget {
  #api;
  #socket = null;
  #resumeToken = null;
  #attempt = 0;
  #retryAfterMs = 0;
  #timer = null;
  #ping = null;
  #nextRequest = 1;
  #requests = new Map();
  #stopped = false;
  up = false;

  constructor(api) {
    super();
    this.#api = api;
    addEventListener('online', () => this.#retryNow());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.#retryNow());
  }

  open() {
    const url = new URL('ws', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url, 'gochat.v1+json');
    this.#socket = socket;
    // A connect that hangs is as bad as one that fails.
    const patience = setTimeout(() => socket.close(), ANSWER_WITHIN_MS);
    socket.onopen = () => {
      const proof = this.#resumeToken ? { resumeToken: this.#resumeToken } : { accessToken: this.#api.session?.accessToken };
      this.send({ hello: { ...proof, device: 'web' } });
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      const [[name, body]] = Object.entries(JSON.parse(data));
      if (name === 'welcome') clearTimeout(patience);
      this.#received(name, body);
    };
    socket.onclose = ({ code }) => {
      clearTimeout(patience);
      if (socket === this.#socket) this.#closed(code);
    };
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#ping);
    this.#socket?.close(1000);
  }

  /** False where there is no connection to send on. */
  send(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** A sync and its answer. Fails when the connection goes or no answer comes in time. */
  sync(body) {
    const requestId = this.#nextRequest++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(requestId, 'reject', new Error('no answer in time')), ANSWER_WITHIN_MS);
      this.#requests.set(requestId, { resolve, reject, timer });
      if (!this.send({ sync: { requestId, ...body } })) this.#settle(requestId, 'reject', new Error('not connected'));
    });
  }

  #settle(requestId, how, value) {
    const request = this.#requests.get(requestId);
    if (!request) return;
    this.#requests.delete(requestId);
    clearTimeout(request.timer);
    request[how](value);
  }

  #received(name, body) {
    switch (name) {
      case 'welcome':
        this.#attempt = 0;
        this.#retryAfterMs = 0;
        this.#resumeToken = body.resumeToken || null;
        this.up = true;
        this.#startPinging();
        this.dispatchEvent(new CustomEvent('up', { detail: { resumed: Boolean(body.resumed), syncWithinMs: body.syncWithinMs ?? 0 } }));
        return;
      case 'synced':
        return this.#settle(body.requestId, 'resolve', body);
      case 'pong':
        this.#awaitingPong = false;
        return;
      case 'ping':
        this.send({ pong: { nonce: body.nonce } });
        return;
      case 'goingAway':
        this.#retryAfterMs = body.retryAfterMs ?? 0;
        this.#resumeToken = body.resumeToken || this.#resumeToken;
        return;
      case 'error':
        if (body.requestId) this.#settle(body.requestId, 'reject', Object.assign(new Error(body.text), body));
        if (!this.up) this.#resumeToken = null; // The hello was refused: don't offer the same token again.
        break;
      default:
    }
    this.dispatchEvent(new CustomEvent('frame', { detail: { name, body } }));
  }

  #awaitingPong = false;

  // The server's heartbeat tells it that we live; this one tells us that it does.
  #startPinging() {
    clearInterval(this.#ping);
    this.#awaitingPong = false;
    this.#ping = setInterval(() => {
      if (this.#awaitingPong) return this.#abandon();
      this.#awaitingPong = true;
      this.send({ ping: { nonce: '1' } });
    }, PING_EVERY_MS);
  }

  // A dead network can hold `onclose` back for minutes.
  #abandon() {
    const socket = this.#socket;
    this.#closed(1006);
    socket.close();
  }

  async #closed(code) {
    this.#socket = null;
    clearInterval(this.#ping);
    // A token that ends while we are up is not the resume token that came with the welcome.
    const resumable = this.up && this.#resumeToken;
    this.up = false;
    for (const requestId of [...this.#requests.keys()]) this.#settle(requestId, 'reject', new Error('disconnected'));
    if (this.#stopped) return;
    if (code === SESSION_REVOKED) return this.#end();

    const spread = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** this.#attempt++);
    const retryInMs = Math.random() * (this.#retryAfterMs || spread);
    this.dispatchEvent(new CustomEvent('down', { detail: { retryInMs } }));
    if (NEEDS_TOKEN.has(code) && !resumable) {
      this.#resumeToken = null;
      try {
        await this.#api.refresh();
      } catch (error) {
        if (error.code !== 'unavailable') return this.#end();
      }
    }
    this.#timer = setTimeout(() => this.open(), retryInMs);
  }

  #retryNow() {
    if (this.#socket || this.#stopped) return;
    clearTimeout(this.#timer);
    this.open();
  }

  #end() {
    this.stop();
    this.dispatchEvent(new CustomEvent('ended'));
  }
}
