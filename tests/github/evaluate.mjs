// Evaluates expressions with GitHub's own evaluator.
// Usage: node evaluate.mjs <node_modules>   Reads JSON: {contexts: [..], expressions: [..]}; prints strings for each context.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const load = (path) => import(pathToFileURL(join(process.argv[2], "@actions/expressions/dist", path)).href);
const { Lexer, Parser, Evaluator } = await load("index.js");
const { BooleanData, Dictionary, StringData } = await load("data/index.js");

const given = JSON.parse(readFileSync(0, "utf-8"));
const convert = (value) =>
  typeof value === "object"
    ? new Dictionary(...Object.entries(value).map(([key, inner]) => ({ key, value: convert(inner) })))
    : typeof value === "boolean"
      ? new BooleanData(value)
      : new StringData(String(value));

const evaluate = (text, contexts) => {
  const { tokens } = new Lexer(text).lex();
  const tree = new Parser(tokens, Object.keys(contexts), []).parse();
  return new Evaluator(tree, convert(contexts)).evaluate().coerceString();
};
console.log(JSON.stringify(given.contexts.map((contexts) => given.expressions.map((text) => evaluate(text, contexts)))));
