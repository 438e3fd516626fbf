/// <reference lib="dom" />
import { useRef } from "preact/hooks";

/** Asks for the token. */
export function TokenForm({ isWrong, give }: { isWrong: boolean; give(token: string): void }) {
  const input = useRef<HTMLInputElement>(null);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const token = input.current!.value.trim();
    if (token) give(token);
  };
  return (
    <main>
      <header class="top">
        <h1>mda</h1>
        <p>This page needs a token.</p>
      </header>
      <form class="controls" onSubmit={submit}>
        <label for="token">Token, as in the file of --web-token-file</label>
        <input
          id="token"
          ref={input}
          type="password"
          autocomplete="current-password"
          aria-describedby="wrong"
          aria-invalid={isWrong}
          required
        />
        <button type="submit">Show</button>
      </form>
      <p id="wrong" class={isWrong ? "notice" : ""} role="alert">
        {isWrong ? "That is not the token of this mda." : ""}
      </p>
    </main>
  );
}
