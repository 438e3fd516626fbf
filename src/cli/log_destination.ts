import { isStderrJournal, Journal, prefixLines, priorities, type Priority } from "../host/journal.ts";
import { printError } from "./output.ts";

/** Where log lines go. */
export interface LogDestination {
  /** Whether it notes time and priority of a line by itself, so that the text need not have them. */
  readonly annotates: boolean;
  /** @param text a line or more, without the newline at their end */
  write(priority: Priority, text: string): void;
  /** Opens what has a name again: logrotate has moved it away. */
  reopen(): void;
}

/** Standard error; with the priorities that the journal reads where it goes there. */
export class StandardError implements LogDestination {
  readonly annotates = isStderrJournal();

  write(priority: Priority, text: string): void {
    printError(this.annotates ? prefixLines(priority, text) : `${text}\n`);
  }

  reopen(): void {}
}

/** The journal of this host. */
export class JournalDestination implements LogDestination {
  readonly annotates = true;
  readonly #journal = new Journal();

  write(priority: Priority, text: string): void {
    try {
      this.#journal.send(priority, text);
    } catch {
      // journald restarts, or does not keep up: a line less, and the data plane goes on.
    }
  }

  reopen(): void {}
}

/** A file, at whose end lines are added. */
export class LogFile implements LogDestination {
  readonly annotates = false;
  readonly #path: string;
  #file: Deno.FsFile;
  #failed = false;

  /** @throws Error that names the file, when it can be neither made nor written */
  constructor(path: string) {
    this.#path = path;
    this.#file = openToAppend(path);
  }

  write(_priority: Priority, text: string): void {
    let rest = new TextEncoder().encode(`${text}\n`);
    try {
      while (rest.length > 0) rest = rest.subarray(this.#file.writeSync(rest));
      this.#failed = false;
    } catch (error) {
      // A full disk is no reason to stop.
      if (!this.#failed) {
        printError(
          `mda: Cannot write to the log file ${this.#path}: ${(error as Error).message}; lines are lost\n`,
        );
      }
      this.#failed = true;
    }
  }

  /** @throws Error as the constructor does; the file that was open stays so then */
  reopen(): void {
    const file = openToAppend(this.#path);
    this.#file.close();
    this.#file = file;
  }
}

/** Two destinations at once, until the second is given up: that one gets only warnings and errors. */
export class CopiedLog implements LogDestination {
  readonly #to: LogDestination;
  #copyTo: LogDestination | undefined;

  constructor(to: LogDestination, copyTo: LogDestination) {
    this.#to = to;
    this.#copyTo = copyTo;
  }

  get annotates(): boolean {
    return this.#to.annotates;
  }

  write(priority: Priority, text: string): void {
    this.#to.write(priority, text);
    // What is critical ends mda, which says it on standard error anyway.
    if (priority === priorities.warning || priority === priorities.error) this.#copyTo?.write(priority, text);
  }

  reopen(): void {
    this.#to.reopen();
  }

  endCopy(): void {
    this.#copyTo = undefined;
  }
}

function openToAppend(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { append: true, create: true, mode: 0o640 });
  } catch (error) {
    throw new Error(`Cannot open the log file ${path}: ${(error as Error).message}`);
  }
}
