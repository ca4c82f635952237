// Runs before the first paint, for nothing may flash up that is gone a moment later: a theme that was not chosen, or an
// answer that was not asked for. The page keeps its user's choices under these names.
{
  const root = document.documentElement;
  const stored = (name) => {
    try {
      return localStorage.getItem(`vllm-simulator.${name}`);
    } catch {
      return null; // Storage can be forbidden; then nothing was chosen.
    }
  };
  const theme = stored("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  // index.html holds the answer of a visit that asks for nothing. A link asks.
  if (location.hash.length > 1) root.dataset.asked = "";
}
