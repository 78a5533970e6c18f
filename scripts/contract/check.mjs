// Holds the contract against the validators that integrators use: AsyncAPI's own parser, and Ajv for the JSON Schemas.
// node check.mjs SCHEMAS CHANNELS.json DOCUMENT...: the folder of the schemas, `edge-agent schema --json`, AsyncAPI.
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

import { Parser } from "@asyncapi/parser";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";

// Strict: a keyword that is not known, or that does nothing, is a fault. Types in a list are ours; and what conditions
// add to a part need not say its type again.
const strictness = { strict: true, allErrors: true, allowUnionTypes: true, strictTypes: false, strictRequired: false };

const [folder, channelsFile, ...documents] = process.argv.slice(2);
const channels = JSON.parse(readFileSync(channelsFile, "utf8"));
const faults = [];

function complaint(validate) {
  return validate.errors.map((error) => `${error.instancePath || "/"} ${error.message}`).join("; ");
}

function examplesOf(channel) {
  const isText = channel.media_type === "text/plain";
  return channel.examples.map((name) => {
    const file = join(folder, "examples", channel.channel, name + (isText ? ".txt" : ".json"));
    const text = readFileSync(file, "utf8");
    return { name: `${channel.channel}/${name}`, payload: isText ? text : JSON.parse(text) };
  });
}

// The schemas as they lie in the package: JSON Schema 2020-12.
const ajv = new Ajv2020(strictness);
const schemas = readdirSync(folder).filter((file) => file.endsWith(".schema.json"));
const validators = {};
for (const file of schemas) {
  const schema = JSON.parse(readFileSync(join(folder, file), "utf8"));
  try {
    validators[basename(file, ".schema.json")] = ajv.compile(schema); // which holds it against its meta-schema, too
  } catch (error) {
    faults.push(`${file}: ${error.message}`);
  }
}

let examples = 0;
for (const channel of channels) {
  const validate = validators[channel.schema];
  const golden = validate ? examplesOf(channel) : [];
  if (golden.length === 0) faults.push(`${channel.channel}: no schema, or no example`);
  for (const { name, payload } of golden) {
    examples += 1;
    if (!validate(payload)) faults.push(`examples/${name}: ${complaint(validate)}`);
  }
}

// The same within AsyncAPI: JSON Schema draft 7.
const older = new Ajv(strictness);
for (const file of documents) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"), { source: file });
  for (const { code, path, message } of diagnostics) {
    // Of whatever weight; but 3.0 is what tools read today.
    if (code !== "asyncapi-latest-version") faults.push(`${basename(file)}: ${path.join(".")}: ${message}`);
  }
  if (!document) continue;
  const { schemas: parts, messages } = JSON.parse(readFileSync(file, "utf8")).components;
  for (const [name, message] of Object.entries(messages)) {
    const validate = older.compile(parts[message.payload.$ref.split("/").pop()]);
    for (const { name: example, payload } of message.examples) {
      if (!validate(payload)) faults.push(`${basename(file)}: ${name}/${example}: ${complaint(validate)}`);
    }
  }
  const count = (all) => all.all().length;
  console.log(
    `${basename(file)}: AsyncAPI ${document.version()}, ${count(document.channels())} channels, ` +
      `${count(document.operations())} operations, ${count(document.components().messages())} messages`,
  );
}

for (const fault of faults) console.error(`check-contract: ${fault}`);
console.log(`${schemas.length} JSON Schemas 2020-12, ${examples} examples, ${documents.length} AsyncAPI documents`);
process.exit(faults.length ? 1 : 0);
