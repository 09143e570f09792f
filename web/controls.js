// The form: what it shows of a state, and what a change of it says.

import { ASCENT, number } from "./state.js";

/** Let the form show a state; `networkName` is for a network that the book does not bring. */
export function fillForm(form, state, index, networkName) {
  const entry = (name) => form.elements[name];
  const offers = (name) => [...entry(name).options].some((option) => option.value === `${state[name]}`);
  if (!offers("network")) entry("network").add(new Option(networkName, state.network));
  if (!offers("size")) entry("size").add(new Option(`${state.size} pixels`, state.size));
  for (const name of ["galaxy", "stage", "size", "network", ...ASCENT]) entry(name).value = state[name];
  const logits = state.stage === "logits";
  entry("channel").parentElement.hidden = logits;
  entry("class").parentElement.hidden = !logits;
  if (logits) entry("class").value = state.channel;
  else entry("channel").value = state.channel ?? "";
  const channels = index.networks.find((one) => one.name === state.network)?.channels[state.stage];
  entry("channel").max = channels ? channels - 1 : "";
}

/** What the change of a control changes of the state, or null; a value out of range changes nothing. */
export function changed({ name, value, validity }, state) {
  switch (name) {
    case "galaxy":
      return { galaxy: /^\d+$/.test(value) ? Number(value) : value };
    case "stage":
      return { stage: value, channel: value === "logits" ? 0 : null };
    case "class":
      return { channel: Number(value) };
    case "channel":
      return { channel: validity.valid ? number(name, value) : state.channel };
    case "network":
    case "backend":
      return { [name]: value };
    default: // files and addresses, which are opened elsewhere, or a number
      return ["size", ...ASCENT].includes(name) ? { [name]: number(name, value) ?? state[name] } : null;
  }
}
