// An exported network's files: from a folder's address or from the reader's own disk, checked and kept.
//
// What a folder holds is described in `galaxylib.web.export`. Files are kept in the browser's cache under their
// SHA-256, so that a second visit downloads nothing but the description, and works without a connection.

import { wrongField } from "./description.js";

const CACHE = "dream-lab";
const DESCRIPTION = "network.json";

/** A sentence for the reader, and what kind of fault it tells of. */
export class Fault extends Error {
  constructor(message, kind) {
    super(message);
    this.kind = kind;
  }
}

/** Open a network: `source` is a folder's URL, or a list of File objects. */
export async function openNetwork(source, onProgress) {
  const place = typeof source === "string" ? new Folder(source) : new Files(source);
  let about;
  try {
    about = JSON.parse(new TextDecoder().decode(await place.description()));
  } catch (fault) {
    if (fault instanceof Fault) throw fault;
    throw new Fault(`${DESCRIPTION} is no description of a network (${fault.message}).`, "network");
  }
  const wrong = wrongField(about);
  if (wrong) {
    throw new Fault(
      `${DESCRIPTION} does not describe a network (${wrong}): make the files again with \`galaxylib export-web\`.`,
      "network",
    );
  }
  const wanted = [about.weights, about.forward, ...Object.values(about.graphs)];
  const total = wanted.reduce((sum, file) => sum + file.bytes, 0);
  let done = 0;
  const content = new Map();
  for (const file of wanted) {
    const bytes = await place.read(file, (more) => {
      done += more;
      onProgress(done, total);
    });
    await check(bytes, file);
    content.set(file.file, bytes);
  }
  return { about, content };
}

async function check(bytes, { file, bytes: length, sha256 }) {
  const altered = new Fault(`${file} was altered or cut short: copy or export the network again.`, "network");
  if (bytes.length !== length) throw altered;
  // Browsers offer hashes only to pages that came by https or from this machine.
  if (!globalThis.crypto?.subtle) return;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  if ([...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("") !== sha256) throw altered;
}

class Folder {
  constructor(url) {
    this.url = url.endsWith("/") ? url : `${url}/`;
  }

  async description() {
    const address = this.url + DESCRIPTION;
    try {
      const response = await download(address);
      await keep(address, response.clone());
      return new Uint8Array(await response.arrayBuffer());
    } catch (fault) {
      const known = await recall(address);
      if (known) return known;
      throw fault;
    }
  }

  async read({ file, sha256 }, onBytes) {
    const address = `${this.url}${file}?sha256=${sha256}`;
    const known = await recall(address);
    if (known) {
      onBytes(known.length);
      return known;
    }
    const response = await download(this.url + file);
    const parts = [];
    try {
      for (const reader = response.body.getReader(); ; ) {
        const { value, done } = await reader.read();
        if (done) break;
        parts.push(value);
        onBytes(value.length);
      }
    } catch {
      throw new Fault(`The download of ${file} broke off: check the connection and try again.`, "offline");
    }
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    await keep(address, new Response(bytes));
    return bytes;
  }
}

class Files {
  constructor(files) {
    this.files = new Map([...files].map((file) => [file.name, file]));
  }

  async bytes(name) {
    const file = this.files.get(name);
    if (!file) {
      throw new Fault(
        `The chosen files hold no ${name}: choose all files of a folder that \`galaxylib export-web\` wrote.`,
        "network",
      );
    }
    return new Uint8Array(await file.arrayBuffer());
  }

  description() {
    return this.bytes(DESCRIPTION);
  }

  async read({ file }, onBytes) {
    const bytes = await this.bytes(file);
    onBytes(bytes.length);
    return bytes;
  }
}

/** Fetch an address; what goes wrong is a `Fault`. */
export async function download(address) {
  let response;
  try {
    response = await fetch(address);
  } catch {
    throw new Fault(`${address} cannot be reached: check the connection and try again.`, "offline");
  }
  if (!response.ok) throw new Fault(`There is no ${address} (status ${response.status}).`, "network");
  return response;
}

// A browser may have no cache for this page, or no room in it: then nothing is kept.

async function keep(address, response) {
  try {
    const cache = await caches.open(CACHE);
    for (const former of await cache.keys(address, { ignoreSearch: true })) await cache.delete(former);
    await cache.put(address, response);
  } catch {
    // Loaded all the same.
  }
}

async function recall(address) {
  try {
    const found = await (await caches.open(CACHE)).match(address);
    return found && new Uint8Array(await found.arrayBuffer());
  } catch {
    return undefined;
  }
}
