// Asks GitHub's own parser (the one behind its editor and its runner) what it thinks of workflow and action files.
// Usage: node official.mjs <node_modules> <repository> <file>...   Prints JSON: [{file, line, message}].
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// The packages import their JSON without the attribute that Node asks for.
const hook = `
export async function load(url, context, next) {
  return url.endsWith(".json") ? next(url, { ...context, importAttributes: { type: "json" } }) : next(url, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

const [modules, repository, ...files] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(modules, path)).href);
const { validate } = await load("@actions/languageservice/dist/index.js");
const { TextDocument } = await load("vscode-languageserver-textdocument/lib/esm/main.js");
const { parse } = await load("yaml/dist/index.js").then((yaml) => yaml.default ?? yaml);

const read = (path) => readFileSync(join(repository, path), "utf-8");
// Ours by tag are these files; of others' actions only what is known of them here is checked.
const config = {
  fileProvider: {
    getFileContent: async (ref) => {
      if ("repository" in ref && `${ref.owner}/${ref.repository}@${ref.version}` !== "mlgate/mlgate@v1") throw new Error("unknown");
      return { name: ref.path, content: read(ref.path) };
    },
  },
  actionsMetadataProvider: {
    fetchActionMetadata: async ({ owner, name, ref, path }) =>
      `${owner}/${name}@${ref}` === "mlgate/mlgate@v1" ? parse(read(`${path}/action.yml`)) : { name, description: "" },
  },
};

const found = [];
for (const file of files) {
  const document = TextDocument.create(`file:///${file}`, "yaml", 1, read(file));
  for (const { range, message } of await validate(document, config)) found.push({ file, line: range.start.line + 1, message });
}
console.log(JSON.stringify(found));
