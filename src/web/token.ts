import { isShortage } from "../host/descriptors.ts";
import { visible } from "../text/visible.ts";

const TOKEN = /^[\x21-\x7e]{16,512}$/;
const GROUP_OR_OTHERS = 0o077;

/** What who opens the page has to know. */
export class Token {
  constructor(private readonly text: string) {}

  /**
   * The token that a file has in its only line.
   *
   * @throws Error when it cannot be read, when others than its owner may read it, or when it is too short
   */
  static read(file: string): Token {
    const cannot = (why: string) => new Error(`Cannot use the token in ${visible(file)}: ${why}`);
    let text: string, status: Deno.FileInfo;
    try {
      using opened = Deno.openSync(file);
      status = opened.statSync();
      if (!status.isFile) throw cannot("it is no file");
      text = Deno.readTextFileSync(file).replace(/\r?\n$/, "");
    } catch (error) {
      if (isShortage(error) || !(error instanceof Deno.errors.NotFound)) throw error;
      throw cannot("there is no such file (ENOENT)");
    }
    if (status.mode! & GROUP_OR_OTHERS) {
      throw cannot(
        `others than its owner may read it, or write to it; correct that with: chmod 600 ${visible(file)}`,
      );
    }
    if (!TOKEN.test(text)) {
      throw cannot(
        "it is to be one line of 16 to 512 letters, digits and signs, as openssl rand -hex 32 makes them",
      );
    }
    return new Token(text);
  }

  isSame(other: Token): boolean {
    return this.text === other.text;
  }

  /** Whether it is that one. How long this takes says nothing of where they differ. */
  async is(given: string): Promise<boolean> {
    const digest = async (text: string) =>
      new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    const [one, other] = await Promise.all([digest(this.text), digest(given)]);
    return one.reduce((differs, byte, place) => differs | (byte ^ other[place]), 0) === 0;
  }
}
