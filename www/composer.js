// Composes profiles: a module of its own, fetched when a model or GPU is chosen. Messages are answered in their order.
//
//   { id, what: "keep", key, content }                       answered by { id, label }
//   { id, what: "compose", flags, model, config, pack }      answered by { id, name, file, isOfLockstep }
//   { id, what: "composeRank", flags, model, config, pack }  the same where all data-parallel ranks are simulated
//   { id, what: "fit", flags, model, config, pack }          answered by { id, fault, isTooSmall }
//
// What cannot be done is answered by { id, error }, of a profile { id, error, kind }. A fault of the module itself is the worker's "error" event.
import init, { Composer } from "./pkg/composer/composer.js";

const composer = init().then(() => new Composer());

function answer(composer, { what, key, content, flags, model, config, pack }) {
  if (what === "keep") return { label: composer.keep(key, content) };
  if (what === "fit") {
    const [fault, isTooSmall] = composer.fit(flags, model, config, pack);
    return { fault, isTooSmall };
  }
  const [name, file, isOfLockstep] = composer[what](flags, model, config, pack);
  return { name, file, isOfLockstep };
}

onmessage = async ({ data }) => {
  const { id } = data;
  try {
    postMessage({ id, ...answer(await composer, data) });
  } catch (error) {
    // Refusals are texts, with their kind if a profile is refused; anything else is no answer, but a fault.
    if (Array.isArray(error)) postMessage({ id, error: error[0], kind: error[1] });
    else if (typeof error === "string") postMessage({ id, error });
    else reportError(error);
  }
};
