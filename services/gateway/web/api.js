// The HTTP API under /api/v1, and the tokens of this browser's session. docs/protocol.md describes both.

const STORAGE_KEY = 'gochat.session';

/** An answer that is an error: `code` is a word of docs/protocol.md, `fix` says what to do. */
export class ApiError extends Error {
  constructor({ code, text, fix }) {
    super(fix ? `${text}: ${fix}` : text);
    this.code = code;
  }
}

export class Api {
  /** {user, sessionId, accessToken, refreshToken, expiresAtMs} or null. */
  session = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? 'null');

  #refreshing = null;

  async register(name, password) {
    this.#keep(await this.#call('POST', 'register', { name, password, displayName: name, device: deviceName() }));
  }

  async login(name, password) {
    this.#keep(await this.#call('POST', 'login', { name, password, device: deviceName() }));
  }

  async logout() {
    try {
      await this.authorised('POST', 'logout');
    } finally {
      this.forget();
    }
  }

  forget() {
    this.session = null;
    localStorage.removeItem(STORAGE_KEY);
  }

  /** A new access token for the refresh token. Concurrent callers share one request: a refresh token is good once. */
  refresh() {
    this.#refreshing ??= this.#call('POST', 'refresh', { refreshToken: this.session?.refreshToken })
      .then(pair => this.#keep(pair))
      .finally(() => { this.#refreshing = null; });
    return this.#refreshing;
  }

  /** Calls with the access token, refreshed once where it has run out. */
  async authorised(method, path, body) {
    try {
      return await this.#call(method, path, body, this.session?.accessToken);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'token_expired') throw error;
      await this.refresh();
      return this.#call(method, path, body, this.session?.accessToken);
    }
  }

  async userNamed(name) {
    const { users = [] } = await this.authorised('GET', `users?name=${encodeURIComponent(name)}`);
    if (!users.length) throw new ApiError({ code: 'no_such_user', text: `Nobody is called “${name}”`, fix: 'check the spelling' });
    return users[0];
  }

  usersById(ids) {
    return this.authorised('GET', `users?ids=${ids.join(',')}`).then(({ users = [] }) => users);
  }

  #keep(pair) {
    this.session = pair;
    localStorage.setItem(STORAGE_KEY, JSON.stringify(pair));
  }

  async #call(method, path, body, token) {
    const headers = {};
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (token) headers.authorization = `Bearer ${token}`;
    const response = await fetch(`api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) })
      .catch(() => { throw new ApiError({ code: 'unavailable', text: 'The server can’t be reached', fix: 'try again in a moment' }); });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new ApiError({ code: 'unavailable', text: `The server answered ${response.status}`, ...answer });
    return answer;
  }
}

function deviceName() {
  return (navigator.userAgent.match(/(Firefox|Edg|Chrome|Safari)\/\d+/)?.[0] ?? 'Browser').slice(0, 64);
}
