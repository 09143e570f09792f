// What the pages say about a state.

import { classesOf, conceptOf, networkOf } from "./state.js";

const STAGES = { dma1: "DMA 1", dma2: "DMA 2", dma3: "DMA 3", lam: "LAM" };

export function stageName(stage) {
  return STAGES[stage] ?? stage;
}

export function objectiveName(state, index) {
  if (state.stage === "logits") return `the class ${classesOf(state, index)[state.channel] ?? state.channel}`;
  if (state.stage === "concept") {
    const found = conceptOf(state, index);
    return `the concept “${conceptName(state.concept)}”${found ? ` of ${stageName(found.stage)}` : ""}`;
  }
  return state.channel === null ? stageName(state.stage) : `channel ${state.channel} of ${stageName(state.stage)}`;
}

/** A concept's name in words: "-arm_pitch" is less arm pitch. */
export function conceptName(name) {
  return `${name.startsWith("-") ? "less" : "more"} ${name.replace("-", "").replaceAll("_", " ")}`;
}

export function startName(state, index) {
  if (state.galaxy === "noise") return `noise (seed ${state.seed})`;
  return state.galaxy === "own" ? "your own picture" : `a simulated galaxy (${index.class_names[state.galaxy]})`;
}

export function networkName(state, index) {
  return networkOf(state, index)?.label ?? `the network at ${state.network}`;
}

/** Bytes in the words of the page. */
export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 1e6 ? 2 : 1)} MB`;
}

/** What pressing the button will fetch first, or nothing. */
export function fetchHint(state, index, live) {
  const known = networkOf(state, index);
  const parts = [];
  if (!live.engine) parts.push(`the runtime (${megabytes(index.runtime[state.backend ?? "wasm"])})`);
  if (known?.name !== "own" && known && live.key !== state.network) parts.push(`the network (${megabytes(known.bytes)})`);
  return parts.length ? `The first time this fetches ${parts.join(" and ")}; the browser keeps it.` : "";
}
