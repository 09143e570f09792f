// What the lab's page shows of a state: pictures, what the network says, measures. Nothing is changed here but the page.
//
// All functions take what there is: {base, state, index, own: the reader's picture, dream: the live one or null, said:
// what the network says of the start}.

import { inWords } from "./compare.js";
import { drawCurve, showChannels, showProbabilities } from "./measures.js";
import { noise, paint, withAlpha } from "./picture.js";
import { classesOf, madeBefore, writeHash } from "./state.js";
import { id } from "./status.js";
import { verdict } from "./verdict.js";
import { networkName, objectiveName, startName } from "./words.js";

/** The start, and beside it the dream made live or beforehand. */
export function showPictures(there) {
  const { base, state, index, dream } = there;
  showStart(there);
  const made = madeBefore(state, index);
  id("canvas").hidden = !dream;
  id("after").hidden = Boolean(dream) || !made;
  id("none").hidden = Boolean(dream) || Boolean(made);
  if (dream?.finished) paint(id("canvas"), asShown(dream, state));
  id("canvas").setAttribute("aria-label", dream?.finished && state.mask ? "The live dream under its mask" : "The live dream");
  if (made && !dream) {
    id("after").src = base + made.file;
    id("after").alt = `The dream of ${objectiveName(state, index)} on ${startName(state, index)}`;
  }
  id("caption").textContent =
    `Start: ${startName(state, index)}. Dream: ${objectiveName(state, index)} at ${state.size} pixels by ${networkName(state, index)}, ${how(dream, made)}.${maskSaid(dream, state)}`;
}

/** A finished dream's pixels, under its mask where the state asks for it. */
export function asShown({ image, alpha }, { mask }) {
  return mask ? withAlpha(image, alpha) : image;
}

/** The finished dream on show, made live or beforehand, as `Compare` takes it; null where there is none. */
export function onShow({ base, state, index, dream }) {
  const made = madeBefore(state, index);
  if (dream ? !dream.finished : !made) return null;
  const src = dream ? id("canvas").toDataURL() : base + made.file;
  const under = dream && state.mask ? ", under its mask" : "";
  return { src, words: inWords(state, index) + under, address: writeHash(state, index) };
}

function how(dream, made) {
  if (dream) return "dreamed in this browser";
  return made ? "made when this book was built" : "not dreamed yet";
}

function maskSaid(dream, { mask }) {
  if (!mask) return "";
  return dream?.finished
    ? " It is transparent where the gradients of its steps hardly reached."
    : " Only a dream made live has a mask: press “Dream it live”.";
}

function showStart({ base, state, index, own }) {
  const image = id("before");
  if (state.galaxy === "noise") image.src = noise(state.size, state.seed).toDataURL();
  else if (state.galaxy === "own") image.src = own ? own.toDataURL() : "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
  else image.src = `${base}galaxies/${state.galaxy}.webp`;
  image.alt = state.galaxy === "own" && !own ? "No picture was chosen yet" : startName(state, index);
}

/** What the network says of the start, or what to do so that it does. */
export function showVerdict({ state, index, own, said }) {
  const missing = state.galaxy === "own" && !own;
  id("look").hidden = Boolean(said) || missing;
  if (missing) {
    id("own").open = true;
    id("verdict").textContent =
      `Open your picture: paste it, drop it on the square above, or choose its file under “My own picture”. The network then names its class, and “Dream it live” makes its dream of ${objectiveName(state, index)}.`;
    return;
  }
  const { name, likeness } = said ? verdict(said, classesOf(state, index)) : {};
  id("verdict").textContent = said ? `${name} ${likeness}` : "";
}

/** Activation, probabilities and the channels that answered most; a press of one calls `choose({channel})`. */
export function showMeasures({ state, index, dream, said }, choose) {
  const { values, probabilities } = dream ?? madeBefore(state, index) ?? {};
  drawCurve(id("curve"), values ?? [], dream?.total ?? values?.length ?? 1);
  showProbabilities(id("probabilities"), classesOf(dream?.asked ?? state, index), dream?.before ?? said?.probabilities, probabilities);
  const whole = dream?.finished && state.channel === null && state.stage !== "concept";
  showChannels(id("channels"), whole ? dream.activation : null, (channel) => choose({ channel }));
}
