// What serves the page: `gochat dev` as a child process, with its data in a folder that survives a kill; or the gateways
// of a cluster, where GOCHAT_URL says so.

import { execFile, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const READY_WITHIN_MS = 60_000;

/** Waits until the page is served; `check` may throw to end it sooner. */
async function untilServed(url, check = () => {}) {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!await fetch(url).then(response => response.ok, () => false)) {
    check();
    if (Date.now() > deadline) throw new Error(`${url}: no page in time`);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

/** A port that is free now, below the ephemeral range. */
async function freePort() {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const free = await new Promise(resolve => {
      const server = createServer().once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

export class Server {
  #child = null;
  #port;
  #folder;
  #log;

  /** What it prints goes to the file `log`. */
  static async start(log) {
    if (process.env.GOCHAT_URL) return new Gateways(process.env.GOCHAT_URL, process.env.GOCHAT_NAMESPACE);
    const server = new Server();
    server.#port = await freePort();
    server.#folder = await mkdtemp(join(tmpdir(), 'gochat-browser-'));
    server.#log = createWriteStream(log);
    await server.restart();
    return server;
  }

  get url() { return `http://127.0.0.1:${this.#port}/`; }

  /** Starts it (again) on the same port and data, and waits until it serves the page. */
  async restart() {
    const child = spawn(process.env.GOCHAT_BIN, ['dev', '--data', this.#folder, '--port', String(this.#port)],
      { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    child.stdout.pipe(this.#log, { end: false });
    child.stderr.pipe(this.#log, { end: false });
    await untilServed(this.url, () => {
      if (child.exitCode !== null) throw new Error(`gochat dev ended with ${child.exitCode}; see its log`);
    });
  }

  /** SIGKILL. */
  async kill() {
    const ended = new Promise(resolve => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** SIGINT, as Ctrl-C does; its exit code. */
  async stop() {
    const ended = new Promise(resolve => this.#child.once('exit', resolve));
    this.#child.kill('SIGINT');
    const code = await ended;
    await rm(this.#folder, { recursive: true, force: true });
    return code;
  }
}

/** The gateways of the GoChatCluster `chat` in a namespace; kubectl's settings are those of the environment. */
class Gateways {
  #namespace;

  constructor(url, namespace) {
    this.url = url;
    this.#namespace = namespace;
  }

  async #kubectl(...args) {
    await promisify(execFile)('kubectl', ['--namespace', this.#namespace, ...args]);
  }

  /** All at once; the cluster makes new ones by itself. */
  async kill() {
    await this.#kubectl('delete', 'pods', '-l', 'gochat.io/cluster=chat,gochat.io/workload=gateway', '--force', '--grace-period=0');
  }

  async restart() {
    await untilServed(this.url);
  }

  async stop() { return 0; }
}
