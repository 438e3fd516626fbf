/// <reference lib="dom" />

const KEY = "mda token";

/** The token: of the address's fragment, which no server is told, or as it was kept. */
export function takeToken(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) {
    keepToken(given);
    // Neither the history nor a screen is to have it.
    history.replaceState(null, "", location.pathname);
  }
  return given ?? sessionStorage.getItem(KEY);
}

/** Keeps it until this tab is closed. */
export function keepToken(token: string): void {
  sessionStorage.setItem(KEY, token);
}
