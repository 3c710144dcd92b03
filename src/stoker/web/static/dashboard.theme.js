// Sets the chosen colours before anything is painted.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("stoker-theme");
  } catch {
    // nothing is kept here; the system's colours hold
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
