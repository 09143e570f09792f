// A live dream on disk: a PNG with the record of how it was made, and what such a PNG gives back.

import { readAddress, readFile } from "./picture.js";
import { asciiJson, readTexts, RECORD, START, withTexts } from "./png.js";
import { objective, settings } from "./state.js";

/** The dream on a canvas as a PNG that carries its record, and the picture it started from if that was the reader's. */
export async function dreamFile(canvas, dream) {
  const { asked, network, before, probabilities, values, backend, seconds, address } = dream;
  const record = {
    format: 1,
    link: location.href.split("#")[0] + address,
    network: {
      name: network.name,
      parameters: network.parameters,
      checkpoint_sha256: network.checkpoint_sha256,
      weights_sha256: network.weights?.sha256,
    },
    objective: objective(asked),
    settings: settings(asked),
    start: asked.galaxy,
    class_names: network.class_names,
    probabilities: { before: [...before], after: [...(probabilities ?? [])] },
    values,
    backend,
    seconds,
    time: new Date().toISOString(),
  };
  const texts = { [RECORD]: asciiJson(record) };
  if (asked.galaxy === "own") texts[START] = dream.start.toDataURL("image/png");
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return withTexts(blob, texts);
}

/** Offer a file to the reader under a name. */
export function offer(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/**
 * What the reader opened: {picture, hash}. A saved dream gives the address of its settings, and its picture if it
 * has one of its own; any other image gives the picture alone. Throws an Error for the reader.
 */
export async function openFile(file) {
  const texts = await readTexts(file);
  if (texts[RECORD]) {
    const record = JSON.parse(texts[RECORD]);
    const picture = texts[START] ? await readAddress(texts[START]) : null;
    if (picture || record.start !== "own") return { picture, hash: new URL(record.link).hash };
  }
  return { picture: await readFile(file), hash: null };
}
