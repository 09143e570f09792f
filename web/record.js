// A live dream on disk: a PNG with the record of how it was made, and what such a PNG gives back.

import { readFile } from "./picture.js";
import { asciiJson, pngFile, readTexts, RECORD, START, withTexts } from "./png.js";
import { settings } from "./state.js";

/**
 * A dream as a PNG that carries its record, and the picture it started from if that was the reader's. `image` is as it
 * is shown, with its mask or without, and `address` says the same.
 */
export async function dreamFile(dream, image, address) {
  return withTexts(await pngFile(image), recordTexts(dream, address));
}

/** The dream's steps as a film that carries the same. */
export async function filmFile(dream) {
  return withTexts(await dream.film.file(), recordTexts(dream, dream.address));
}

function recordTexts(dream, address) {
  const { asked, network, before, probabilities, values, backend, seconds } = dream;
  const record = {
    format: 1,
    link: location.href.split("#")[0] + address,
    network: {
      name: network.name,
      parameters: network.parameters,
      checkpoint_sha256: network.checkpoint_sha256,
      weights_sha256: network.weights?.sha256,
    },
    objective: dream.objective,
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
  return texts;
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
    const { hash, ownPicture } = readRecord(texts[RECORD], file.name);
    const picture = texts[START] ? await readFile(startPicture(texts[START], file.name)) : null;
    if (picture || !ownPicture) return { picture, hash };
  }
  return { picture: await readFile(file), hash: null };
}

function readRecord(text, name) {
  try {
    const { link, start } = JSON.parse(text);
    return { hash: new URL(link).hash, ownPicture: start === "own" };
  } catch {
    throw new Error(`The record in ${name} is damaged: open a picture that this page saved.`);
  }
}

// The file may come from a stranger: anything but a PNG inside it, an address above all, is refused and never asked for.
function startPicture(text, name) {
  const inside = `The start picture in ${name}`;
  const found = /^data:image\/png;base64,([A-Za-z0-9+/]+={0,2})$/.exec(text);
  try {
    const bytes = Uint8Array.from(atob(found[1]), (letter) => letter.charCodeAt(0));
    return new File([bytes], inside, { type: "image/png" });
  } catch {
    throw new Error(`${inside} is no PNG: open a picture that this page saved.`);
  }
}
