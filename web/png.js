// PNG files: pixels packed into one, and a record inside: text chunks put in after the header, and read again.

export const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const HEADER_END = 33; // signature, and the header's chunk
export const RECORD = "galaxylib.dream.lab";
export const START = "galaxylib.dream.lab.start";

/** The PNG (Blob) with texts {keyword: text} inside; what is not ASCII must be escaped. */
export async function withTexts(blob, texts) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const letters = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const chunks = Object.entries(texts).map(([keyword, text]) => pngChunk("tEXt", letters(`${keyword}\0${text}`)));
  return new Blob([bytes.slice(0, HEADER_END), ...chunks, bytes.slice(HEADER_END)], { type: "image/png" });
}

/** The texts of a PNG, {} of anything else. */
export async function readTexts(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const texts = {};
  if (!SIGNATURE.every((value, i) => bytes[i] === value)) return texts;
  const view = new DataView(bytes.buffer);
  for (let at = SIGNATURE.length; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (ascii(bytes.subarray(at + 4, at + 8)) === "tEXt") {
      const [keyword, text] = ascii(bytes.subarray(at + 8, at + 8 + length)).split("\0");
      texts[keyword] = text;
    }
    at += 12 + length;
  }
  return texts;
}

/** JSON in ASCII alone, as a text chunk wants it. */
export function asciiJson(value) {
  return JSON.stringify(value).replace(/[\u0080-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** An image {width, height, data: red, green, blue, opacity} as a PNG; without the opacity where all is opaque. */
export async function pngFile(image) {
  const opaque = image.data.every((value, i) => i % 4 !== 3 || value === 255);
  const channels = opaque ? 3 : 4;
  const body = pngChunk("IDAT", await packed(image, channels));
  const parts = [Uint8Array.from(SIGNATURE), pngHeader(image.width, image.height, channels), body, pngChunk("IEND", [])];
  return new Blob(parts, { type: "image/png" });
}

/** The first chunk of a PNG with 3 channels, or 4: with opacity. */
export function pngHeader(width, height, channels) {
  return pngChunk("IHDR", [...fourBytes(width), ...fourBytes(height), 8, channels === 4 ? 6 : 2, 0, 0, 0]);
}

/** The first `channels` of each pixel in rows, each as its difference from the row above, which packs better. */
export async function packed({ width, height, data }, channels) {
  const rows = new Uint8Array(height * (1 + channels * width));
  for (let y = 0, at = 0; y < height; y += 1) {
    rows[at++] = 2;
    for (let x = 0; x < width; x += 1) {
      const from = 4 * (y * width + x);
      for (let c = 0; c < channels; c += 1) rows[at++] = data[from + c] - (y ? data[from + c - 4 * width] : 0);
    }
  }
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A whole number as a PNG has it. */
export function fourBytes(value) {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

/** A chunk of a PNG: its length, its type of four letters, its bytes and their sum. */
export function pngChunk(type, bytes) {
  const whole = new Uint8Array(bytes.length + 12);
  const view = new DataView(whole.buffer);
  view.setUint32(0, bytes.length);
  whole.set([...type].map((letter) => letter.charCodeAt(0)), 4);
  whole.set(bytes, 8);
  view.setUint32(bytes.length + 8, checksum(whole.subarray(4, bytes.length + 8)));
  return whole;
}

// CRC-32, as PNG wants it.
function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

function ascii(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}
