/** Prints a CycloneDX bill of materials: bom.ts MACHINE PARTS EXECUTABLE */
import * as Enums from "@cyclonedx/cyclonedx-library/Enums";
import * as Models from "@cyclonedx/cyclonedx-library/Models";
import * as Serialize from "@cyclonedx/cyclonedx-library/Serialize";
import * as Spec from "@cyclonedx/cyclonedx-library/Spec";
import { type Component, findComponents, type Machine, sha256, version } from "./components.ts";

const algorithms = {
  "SHA-256": Enums.HashAlgorithm["SHA-256"],
  "SHA-512": Enums.HashAlgorithm["SHA-512"],
};

function licenseOf(expression: string): Models.License {
  return expression.includes(" ")
    ? new Models.LicenseExpression(expression)
    : new Models.SpdxLicense(expression);
}

function model({ name, version, role, license, purl, hash }: Component): Models.Component {
  const component = new Models.Component(Enums.ComponentType.Library, name, {
    bomRef: purl ?? `${name}@${version}`,
    version,
    description: role,
    purl,
    hashes: new Models.HashDictionary([[algorithms[hash.algorithm], hash.hex]]),
  });
  component.licenses.add(licenseOf(license));
  return component;
}

const [machine, parts, executable] = Deno.args;
const [own, ...others] = await findComponents(machine as Machine, parts);
const bom = new Models.Bom();
const program = new Models.Component(Enums.ComponentType.Application, own.name, {
  bomRef: `mda@${version}`,
  version,
  description: "Transparent acceleration of TCP within a host",
  hashes: new Models.HashDictionary([[algorithms["SHA-256"], await sha256(executable)]]),
});
program.licenses.add(licenseOf(own.license));
bom.metadata.component = program;
for (const component of others.map(model)) {
  bom.components.add(component);
  program.dependencies.add(component.bomRef);
}
const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
console.log(serializer.serialize(bom, { sortLists: true, space: 2 }));
