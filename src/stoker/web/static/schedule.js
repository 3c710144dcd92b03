// The form of a schedule: its next times are told while one writes. Without this, a button shows them.
(() => {
  "use strict";

  const PAUSE = 250; // ms without a key before the server is asked
  const form = document.querySelector("[data-schedule]");
  const times = form && form.querySelector("[data-preview]");
  if (!times) return;
  const fields = ["expression", "tz", "start", "end"].map((name) => form.elements[name]);
  let waiting = null;
  let asked = 0;

  form.querySelector("[data-look]").hidden = true;

  async function tell() {
    const turn = ++asked;
    const query = new URLSearchParams(fields.map((field) => [field.name, field.value]));
    try {
      const answer = await fetch(`${times.dataset.preview}?${query}`, { headers: { accept: "text/html" } });
      if (turn === asked && answer.ok) times.innerHTML = await answer.text();
    } catch {
      // what stood there stays; the server says what is wrong when the form is sent
    }
  }

  for (const field of fields) {
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(tell, PAUSE);
    });
  }
})();
