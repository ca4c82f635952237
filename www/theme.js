// Runs before the first paint: a chosen theme must not flash up in the other one.
// The page keeps the choice ("light" or "dark") under this name; without one the system decides.
try {
  const theme = localStorage.getItem("vllm-simulator.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage can be forbidden; then the system's theme it is.
}
