import { probeKernel } from "../../checks/features.ts";
import { openMaps } from "../../state/pins.ts";
import { loadDataPlane } from "../object.ts";
import { adoptOnceKnown, type AdoptOptions } from "../sockets/adopt.ts";

/** Adopts connections for a data plane that is left to itself. The caller has locked the pin directory. */
export async function adoptHere(pinDir: string, options: AdoptOptions): Promise<void> {
  const features = probeKernel();
  if (!features.iterates_files) return;
  const reuse = openMaps(pinDir);
  try {
    using object = loadDataPlane({
      features,
      allSockets: options.allSockets,
      unknownPrograms: options.unknownPrograms,
      reuse,
    });
    await adoptOnceKnown(object, options);
  } finally {
    for (const map of Object.values(reuse)) map.close();
  }
}
