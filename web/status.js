// The lab's page while it works: its parts by name, what it says, which buttons may be pressed.

export const id = (name) => document.getElementById(`lab-${name}`);

export function say(text) {
  id("status").textContent = text;
}

export function fault(text) {
  id("fault").textContent = `${text} The dreams made beforehand are still here.`;
  id("fault").hidden = false;
  id("status").textContent = "";
}

export function clearFault() {
  id("fault").hidden = true;
}

export function progress(share) {
  id("progress").value = share;
}

/** Work has begun, or is over; `pausable` work is a dream. */
export function busy(yes, { pausable = true } = {}) {
  // A button that is switched off loses the focus: hand it on.
  const focused = document.activeElement;
  const starting = [id("run"), id("look")];
  for (const button of starting) button.disabled = yes;
  id("stop").disabled = !yes;
  id("mask").disabled = yes;
  id("pause").disabled = !yes || !pausable;
  if (yes && starting.includes(focused)) id("stop").focus();
  if (!yes && [id("pause"), id("stop")].includes(focused)) id("run").focus();
  id("pause").textContent = "Pause";
  id("progress").hidden = id("counter").hidden = !yes;
  id("counter").textContent = "";
  progress(0);
  for (const part of id("form").querySelectorAll("fieldset, details")) part.inert = yes;
}
