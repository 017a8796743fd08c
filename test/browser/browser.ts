/** A headless Chromium over its DevTools protocol: just what the tests of the pages need. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];

/** undefined when this machine has none. */
export const chromium = (): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((dir) => NAMES.map((name) => join(dir, name)))
    .find((path) => existsSync(path));

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly [key: string]: unknown };
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

export class Browser {
  /** What the page complained about: errors, and what its security policy forbade. */
  readonly complaints: string[] = [];
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (m: Message) => void>();
  #lastId = 0;

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.#child = child;
    this.#profile = profile;
    this.#socket = socket;
    socket.addEventListener('message', (event) => this.#take(JSON.parse(String(event.data)) as Message));
  }

  static async open(path: string): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), 'browser-'));
    const child = spawn(
      path,
      ['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0', `--user-data-dir=${profile}`],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    const address = await new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`the browser ended: ${said}`)));
      child.stderr!.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        const m = /DevTools listening on ws:\/\/([^/]+)/.exec(said);
        if (m) resolve(m[1]!);
      });
    });
    const tab = (await (await fetch(`http://${address}/json/new`, { method: 'PUT' })).json()) as {
      webSocketDebuggerUrl: string;
    };
    const socket = new WebSocket(tab.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    const browser = new Browser(child, profile, socket);
    for (const domain of ['Page', 'Runtime', 'Log']) await browser.send(`${domain}.enable`);
    return browser;
  }

  #take(m: Message): void {
    if (m.id !== undefined) {
      this.#waiting.get(m.id)?.(m);
      this.#waiting.delete(m.id);
    } else if (m.method === 'Runtime.exceptionThrown' || m.method === 'Log.entryAdded')
      this.complaints.push(JSON.stringify(m.params));
  }

  async send(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#lastId;
    const answer = await new Promise<Message>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  }

  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await this.send('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    })) as { result: { value: T }; exceptionDetails?: { exception?: { description?: string } } };
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  async press(key: string): Promise<void> {
    const text = key.length === 1 ? { text: key } : {};
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', key, ...text });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', key });
  }

  async close(): Promise<void> {
    this.#socket.close();
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill();
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
