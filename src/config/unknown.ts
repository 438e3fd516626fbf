/**
 * What becomes of programs of which it is not known how they receive: left to TCP until it is, and if they have splice(2)
 * for good; left to TCP until it is; not left to TCP.
 */
export const unknownPrograms = ["strict", "learn", "fast"] as const;

export type UnknownPrograms = typeof unknownPrograms[number];
