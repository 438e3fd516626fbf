import { isLocal, type ListenAddress } from "../host/listen_address.ts";
import { longNameOf, type SettingName, type Settings } from "./settings.ts";

/** A value that is in order, but not beside another one. */
interface Contradiction {
  /** Any of these settings can be changed to end it, the likeliest first. */
  names: SettingName[];
  what: string;
}

/** Values that cannot hold at the same time. */
export function findContradictions({ metrics, web, webTokenFile }: Settings): Contradiction[] {
  const found: Contradiction[] = [];
  if (web && webTokenFile === undefined && !isLocal(web)) {
    found.push({
      names: ["web"],
      what: `others than this host reach ${web.address}, so the page needs set ${longNameOf("webTokenFile")}`,
    });
  }
  if (web && metrics && overlap(web, metrics)) {
    found.push({ names: ["web", "metrics"], what: `metrics and the page cannot both have port ${web.port}` });
  }
  return found;
}

function overlap(one: ListenAddress, other: ListenAddress): boolean {
  const isAll = ({ address }: ListenAddress) => [undefined, "0.0.0.0", "::"].includes(address);
  return one.port === other.port && (one.address === other.address || isAll(one) || isAll(other));
}
