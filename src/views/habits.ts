import { enums } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { readPrograms } from "../state/programs.ts";

const { HABIT_UNKNOWN, HABIT_RECEIVES } = enums.habit;

/** `HABIT_SPLICES` is "splices". */
type HabitName<Name> = Name extends `HABIT_${infer Word}` ? Lowercase<Word> : never;

/** How many programs have each habit; each is there, also with none. */
export type HabitCounts = Record<HabitName<keyof typeof enums.habit>, number>;

/** What is known of how programs use their sockets. */
export interface Habits {
  counts: HabitCounts;
  /** Programs that receive in ways that sockmap can serve. */
  accelerated: number;
  /** Programs of which it is not known yet. */
  learning: number;
  /** The others, whose connections are left to TCP. */
  left: { name: string; why: string }[];
}

const names = Object.entries(enums.habit).map(([name, value]) => ({
  word: name.replace("HABIT_", "").toLowerCase() as keyof HabitCounts,
  value: value as number,
}));

/** @param map that of programs; none are known without */
export function readHabits(map: BpfMap | undefined): Habits {
  const programs = map ? readPrograms(map) : [];
  const having = (wanted: number) => programs.filter(({ habit }) => habit === wanted).length;
  return {
    counts: Object.fromEntries(names.map(({ word, value }) => [word, having(value)])) as HabitCounts,
    accelerated: having(HABIT_RECEIVES),
    learning: having(HABIT_UNKNOWN),
    left: programs.filter(({ habit }) => habit > HABIT_RECEIVES)
      .map(({ name, habit }) => ({ name, why: names.find(({ value }) => value === habit)!.word })),
  };
}

const words: Record<Exclude<HabitName<keyof typeof enums.habit>, "unknown">, string> = {
  receives: "receives with recv(2) and its like",
  counts: "asks how much is unread (FIONREAD), which the kernel would answer wrong",
  splices: "uses splice(2) on its sockets",
  maps: "uses TCP_ZEROCOPY_RECEIVE",
  urgent: "sends with MSG_OOB",
  zerocopy: "sends with MSG_ZEROCOPY",
  protocol: "sets a ULP, as kTLS, on connected sockets, or gives them to the kernel",
};

/** What a program does with its sockets, as it follows its name. @param habit enum habit, a known one */
export function habitWords(habit: number): string {
  return words[names.find(({ value }) => value === habit)!.word as keyof typeof words];
}
