// Two dreams in one picture: the one that was kept, the one on show, and a slider that moves the line between them.

import { id } from "./status.js";
import { networkName, objectiveName, startName } from "./words.js";

export class Compare {
  /** `current` gives the finished dream on show, {src, words, address}, or null: its picture, what it is, its address. */
  constructor(current) {
    Object.assign(this, { current, kept: null });
    this.left = Object.assign(new Image(), { id: "lab-kept" });
    this.right = Object.assign(new Image(), { id: "lab-shown" });
    id("slider").addEventListener("input", () => this.move());
    id("keep").addEventListener("click", () => this.keep(this.current()));
    id("let-go").addEventListener("click", () => {
      this.keep(null);
      id("keep").focus();
    });
    this.move();
  }

  keep(picture) {
    this.kept = picture;
    this.show();
  }

  /** Show the kept dream beside the one on show, or alone while there is no other. */
  show() {
    const { kept } = this;
    id("compare").hidden = !kept;
    if (!kept) return;
    const now = this.current();
    const other = now?.address === kept.address ? null : now;
    for (const part of [this.right, id("line"), id("slider").parentElement]) part.hidden = !other;
    if (!this.left.isConnected) id("line").before(this.left, this.right); // an image without a picture is a broken one
    put(this.left, kept);
    if (other) put(this.right, other);
    const right = other?.words === kept.words ? "the same with other settings" : other?.words;
    id("compare-caption").textContent = other
      ? `Left: ${kept.words}. Right: ${right}.`
      : `Kept: ${kept.words}. Now choose another network, stage or start: its dream comes to the right of it.`;
  }

  move() {
    const { value } = id("slider");
    id("compare").style.setProperty("--at", `${value}%`);
    id("slider").setAttribute("aria-valuetext", `${value} % of the width shows the kept dream`);
  }
}

function put(image, { src, words }) {
  if (image.src !== src) image.src = src;
  image.alt = words;
}

/** A dream in words. */
export function inWords(state, index) {
  return `the dream of ${objectiveName(state, index)} on ${startName(state, index)} at ${state.size} pixels by ${networkName(state, index)}`;
}
