/** Why something could not be tried, which tells nothing of whether it would work. */
export class NotTried extends Error {
  /** @param remedy what to do so that it can be; absent where there is nothing to try */
  constructor(why: string, readonly remedy?: string) {
    super(why);
  }
}

/** In a container cgroups are often read-only, or beyond those that its processes may be in. */
export const onTheHost = "run mda doctor on the host, outside of the container";
