import text from "carried/licenses.txt" with { type: "text" };

/** What is inside this program, and under which licences. */
export const licensesText: string = text;
