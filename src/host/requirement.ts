/** Something that mda needs and this host or process does not have. */
export class UnmetRequirement extends Error {
  override name = "UnmetRequirement";

  /**
   * @param what what cannot be done, and why
   * @param remedy what to do, for the person who can
   */
  constructor(readonly what: string, readonly remedy?: string) {
    super(remedy === undefined ? what : `${what}; ${remedy}`);
  }
}
