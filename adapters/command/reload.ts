// Reading the configuration again: at a signal, when the file changes, or when the admin address is
// asked to. A file with mistakes, or a change that fails, leaves everything as it is and says why.

import type { Config } from "../../core/config/schema.ts";
import type { Log } from "../log/log.ts";

/** What a checked file gave: the configuration and warnings, or null and a line for every mistake. */
export interface Reading {
  /** What `fileState` said before the file was read. */
  readonly state: string;
  readonly config: Config | null;
  readonly lines: readonly string[];
}

type Target = (config: Config) => Promise<unknown> | void;

/** Calls `changed` when the file is another one than when it was in the state `known`. */
type Watch = (known: string, changed: () => void) => { stop(): void };

export class Reloader {
  /** Says that it runs, and how it takes a configuration over. Before that a reload waits. */
  begin: (target: Target) => void;
  private readonly begun: Promise<Target>;
  private readonly file: string;
  private readonly log: Log;
  private readonly read: () => Promise<Reading>;
  private readonly watch: Watch;
  private watcher: { stop(): void } | null;
  /** One reload at a time. */
  private last: Promise<unknown>;

  constructor(
    file: string,
    log: Log,
    read: () => Promise<Reading>,
    watch: Watch,
  ) {
    this.begin = () => {};
    this.begun = new Promise((resolve) => this.begin = resolve);
    this.file = file;
    this.log = log;
    this.read = read;
    this.watch = watch;
    this.watcher = null;
    this.last = Promise.resolve();
  }

  /** Takes over the file as it is now. Returns what is wrong, if it was not taken over. */
  reload(): Promise<string[]> {
    const result = this.last.then(() => this.now());
    this.last = result;
    return result;
  }

  private async now(): Promise<string[]> {
    const { log, file } = this;
    const target = await this.begun;
    const { config, lines, state } = await this.read();
    const wrong = config === null ? [...lines] : [];
    if (config !== null) {
      for (const line of lines) log.warn(line);
      try {
        await target(config);
        this.watching(config.global.watch, state);
        log.notice(`configuration reloaded from '${file}'`);
        return [];
      } catch (error) {
        wrong.push(error instanceof Error ? error.message : String(error));
      }
    }
    for (const line of wrong) log.error(line);
    log.error("configuration not reloaded: what runs goes on as before");
    return wrong;
  }

  /** Watches the file, last read in the state `known`, or no more. */
  watching(on: boolean, known = ""): void {
    if (on === (this.watcher !== null)) return;
    this.watcher?.stop();
    this.watcher = on
      ? this.watch(known, () => {
        this.log.notice(`'${this.file}' has changed, reloading configuration`);
        void this.reload();
      })
      : null;
  }

  stop(): void {
    this.begin(() => Promise.reject(new Error("ringmux stops")));
    this.watching(false);
  }
}
