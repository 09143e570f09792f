// A network that the reader opens: read what its folder says, before anything is computed.

import { wrongField } from "./description.js";

const DESCRIPTION = "network.json";

/**
 * The entry of a network in the shape of those in index.json. `name` is "own" or an address, `source` the folder's
 * files or its address. Throws an Error whose message is for the reader.
 */
export async function describeNetwork(name, source) {
  const about = await (typeof source === "string" ? fromAddress(source) : fromFiles(source));
  const wrong = wrongField(about);
  if (wrong) {
    throw new Error(`${DESCRIPTION} does not describe a network (${wrong}): make the folder with \`galaxylib export-web\`.`);
  }
  const files = [about.weights, about.forward, ...Object.values(about.graphs)];
  return {
    name,
    label: name === "own" ? `your own network (${about.name})` : `${about.name} at ${new URL(source).host}`,
    parameters: about.parameters,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    channels: Object.fromEntries(Object.entries(about.graphs).map(([stage, graph]) => [stage, graph.channels])),
    stages: Object.keys(about.graphs).filter((stage) => stage !== "logits"),
    class_names: about.class_names,
    concepts: about.concepts ?? [],
    dreams: {},
    before: [],
    unlike: null,
  };
}

async function fromFiles(files) {
  const file = files.find((one) => one.name === DESCRIPTION);
  if (!file) throw new Error(`The folder holds no ${DESCRIPTION}: choose one that \`galaxylib export-web\` made.`);
  return parsed(await file.text());
}

async function fromAddress(address) {
  let answer;
  try {
    answer = await fetch(`${address}${DESCRIPTION}`);
  } catch {
    throw new Error(`${address} cannot be reached from this page: it is offline, or does not let other pages read it.`);
  }
  if (!answer.ok) throw new Error(`${address} holds no ${DESCRIPTION}: give the address of an exported network's folder.`);
  return parsed(await answer.text());
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${DESCRIPTION} is damaged: make the folder again with \`galaxylib export-web\`.`);
  }
}
