/// <reference lib="dom" />
import type { Moment } from "../moment.ts";
import type { Connection } from "./events.ts";

/** What mda this is of, and whether it accelerates. */
export function Header({ connection, moment }: { connection: Connection; moment: Moment | null }) {
  const isOn = connection.state === "open" && moment?.status.enabled;
  return (
    <header class="top">
      <h1>mda</h1>
      <p role="status">
        <span class={`badge ${isOn ? "fast" : "tcp"}`}>{badgeOf(connection, moment)}</span>
      </p>
      {moment && (
        <p class="where">
          {moment.host}, {moment.status.cgroup || "no cgroup"}, version {moment.version}
        </p>
      )}
    </header>
  );
}

function badgeOf(connection: Connection, moment: Moment | null): string {
  switch (connection.state) {
    case "open":
      return moment?.status.enabled ? "accelerating" : "not accelerating";
    case "asking":
    case "token":
      return "asking";
    case "failing":
      return "cannot be read";
    case "stopping":
      return "stopping";
    case "gone":
    case "refused":
      return "gone";
  }
}

/** What is wrong, if anything, and what to do; screen readers say it at once. */
export function Notice({ connection, moment }: { connection: Connection; moment: Moment | null }) {
  const text = noticeOf(connection, moment);
  return <div role="alert">{text && <p class="notice">{text}</p>}</div>;
}

function noticeOf(connection: Connection, moment: Moment | null): string | null {
  const old = moment ? " What is below is as it was then." : "";
  switch (connection.state) {
    case "gone":
      return `mda has stopped, or cannot be reached. This page goes on asking.${old}`;
    case "stopping":
      return "mda is stopping: connections go over to TCP.";
    case "failing":
      return `mda cannot read what goes on: ${connection.why}.${old}`;
    case "refused":
      return `mda does not answer this page: ${connection.why}.`;
    case "open":
      return moment && !moment.status.enabled
        ? "Acceleration is off: nothing is attached. mda enable, or another mda run, starts it."
        : null;
    default:
      return null;
  }
}
