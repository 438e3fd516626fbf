import { isStderrJournal, Journal, prefixLines, priorities, type Priority } from "../host/journal.ts";
import { printError } from "../output/print.ts";

/** Where log lines go. */
export interface LogDestination {
  /** Whether it notes time and priority of a line by itself, so that the text need not have them. */
  readonly annotates: boolean;
  /** @param text a line or more, without the newline at their end */
  write(priority: Priority, text: string): void;
  /** Opens what has a name again: logrotate has moved it away. */
  reopen(): void;
  /** Called when it takes lines again: with how many it did not take, and why. */
  onRecovery?: (lost: number, why: string) => void;
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
  onRecovery?: (lost: number, why: string) => void;
  /** How many were lost since one could be written, and why. */
  #lost = 0;
  #why = "";
  /** The last of the file is part of a line. */
  #cut = false;

  /** @throws Error that names the file, when it can be neither made nor written */
  constructor(path: string) {
    this.#path = path;
    this.#file = openToAppend(path);
  }

  write(_priority: Priority, text: string): void {
    const bytes = new TextEncoder().encode(`${this.#cut ? "\n" : ""}${text}\n`);
    let done = 0;
    try {
      while (done < bytes.length) done += this.#file.writeSync(bytes.subarray(done));
      this.#cut = false;
    } catch (error) {
      // A full disk is no reason to stop.
      if (this.#lost === 0) {
        printError(
          `mda: Cannot write to the log file ${this.#path}: ${(error as Error).message}; lines are lost\n`,
        );
      }
      if (done > 0) this.#cut = true;
      this.#lost++;
      this.#why = (error as Error).message;
      return;
    }
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.onRecovery?.(lost, this.#why);
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

  set onRecovery(action: (lost: number, why: string) => void) {
    this.#to.onRecovery = action;
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
