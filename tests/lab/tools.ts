import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** Where build.sh has installed the packages of tests/tools. */
export const toolsDirectory = fileURLToPath(new URL("../../build/test_tools/", import.meta.url));

/** Loads one of them. */
export const requireTool = createRequire(`${toolsDirectory}package.json`);
