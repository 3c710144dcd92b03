// The dashboard in the browser: pages work without this; with it they tell times, ask back and answer to the keyboard.
(() => {
  "use strict";

  const page = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);

  // --- times ---------------------------------------------------------------------------------------------------------

  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  function ago(moment) {
    const seconds = (Date.now() - moment) / 1000;
    const size = Math.abs(seconds);
    if (size < 1) return "now";
    const [length, unit] = UNITS.find(([least]) => size >= least);
    const number = Math.floor(size / length);
    return seconds > 0 ? `${number} ${unit} ago` : `in ${number} ${unit}`;
  }

  function tellTimes(within = document) {
    for (const time of all("time[data-ago]", within)) {
      const text = ago(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // --- colours -------------------------------------------------------------------------------------------------------

  const THEMES = ["", "light", "dark"];

  function tellTheme() {
    const name = { light: "light", dark: "dark" }[page.dataset.theme] || "as the system";
    for (const button of all("[data-theme-switch]")) {
      button.title = `Colours: ${name}`;
      button.setAttribute("aria-label", button.title);
    }
  }

  function switchTheme() {
    const next = THEMES[(THEMES.indexOf(page.dataset.theme || "") + 1) % THEMES.length];
    if (next) page.dataset.theme = next;
    else delete page.dataset.theme;
    try {
      if (next) localStorage.setItem("stoker-theme", next);
      else localStorage.removeItem("stoker-theme");
    } catch {
      // it holds for this page
    }
    tellTheme();
  }

  // --- selecting rows ------------------------------------------------------------------------------------------------

  function tellSelection() {
    for (const form of all("[data-select]")) {
      const boxes = all("[data-pick]", form);
      const picked = boxes.filter((box) => box.checked).length;
      const every = one("[data-pick-all]", form);
      if (every) {
        every.checked = picked > 0 && picked === boxes.length;
        every.indeterminate = picked > 0 && picked < boxes.length;
      }
      const scope = one("[name=scope]", form);
      const whole = Boolean(scope) && scope.value === "all";
      const matching = one("[data-matching]");
      for (const told of all("[data-picked]", form)) told.textContent = String(picked);
      for (const told of all("[data-some]", form)) told.hidden = whole;
      for (const told of all("[data-every]", form)) {
        told.hidden = !whole;
        told.textContent = matching ? matching.dataset.matching : "all that match";
      }
      for (const button of all("button[name=action]", form)) button.disabled = !whole && picked === 0;
    }
  }

  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("[data-pick-all]")) {
      for (const other of all("[data-pick]", box.form)) other.checked = box.checked;
    }
    if (box.matches("[data-pick], [data-pick-all], [data-select] [name=scope]")) tellSelection();
  });

  // A filter that says nothing stays out of the address.
  document.addEventListener("submit", (event) => {
    if (event.target.getAttribute("method") === "get") {
      for (const field of all("input, select", event.target)) if (!field.value) field.disabled = true;
      setTimeout(() => all(":disabled", event.target).forEach((field) => (field.disabled = false)));
    }
  });

  // --- asking back in a dialog ---------------------------------------------------------------------------------------

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const asks = form.matches("[data-ask]") || (event.submitter && event.submitter.matches("[data-ask]"));
    if (!asks || form.dataset.nowPlain) return;
    event.preventDefault();
    const data = new FormData(form, event.submitter);
    try {
      const where = (event.submitter && event.submitter.getAttribute("formaction")) || form.getAttribute("action"); // a field may be called action
      const answer = await fetch(where, {
        method: "POST",
        body: new URLSearchParams(data),
        headers: { accept: "text/html" },
        credentials: "same-origin",
      });
      if (answer.redirected) {
        location.href = answer.url;
        return;
      }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const question = one("[data-question]", fresh) || one(".problem", fresh);
      if (question) {
        ask(question, answer.url);
        return;
      }
    } catch {
      // the browser itself shows what is wrong
    }
    form.dataset.nowPlain = "yes";
    form.requestSubmit(event.submitter);
  });

  function ask(question, base) {
    const dialog = document.createElement("dialog");
    dialog.className = "dialog";
    dialog.append(document.importNode(question, true));
    const title = one("h1, h2", dialog);
    if (title) {
      title.id = "question-title";
      dialog.setAttribute("aria-labelledby", title.id);
    }
    // They are relative to the page that answered, which may be deeper below the mount than the one that asked.
    for (const name of ["href", "action"]) {
      for (const element of all(`a[${name}], form[${name}]`, dialog)) {
        element.setAttribute(name, new URL(element.getAttribute(name), base).href);
      }
    }
    for (const way of all("[data-close]", dialog)) {
      way.hidden = false;
      way.addEventListener("click", (event) => {
        event.preventDefault();
        dialog.close();
      });
    }
    dialog.addEventListener("close", () => dialog.remove());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
  }

  // --- tips ----------------------------------------------------------------------------------------------------------

  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");

  document.addEventListener("pointerover", (event) => {
    const about = event.target.closest ? event.target.closest("[data-tip]") : null;
    tip.hidden = !about;
    if (!about) return;
    tip.textContent = about.dataset.tip;
    const box = about.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
  });

  // --- copying -------------------------------------------------------------------------------------------------------

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.dataset.nowCopied = "yes";
      setTimeout(() => delete button.dataset.nowCopied, 1200);
    }
    if (event.target.closest("[data-help]")) help();
    if (event.target.closest("[data-theme-switch]")) switchTheme();
  });

  // --- keyboard ------------------------------------------------------------------------------------------------------

  const help = () => one("#help").open || one("#help").showModal();
  let went = 0;

  function move(step) {
    const rows = all("[data-row]").filter((row) => row.offsetParent !== null);
    if (!rows.length) return;
    const here = rows.findIndex((row) => row.contains(document.activeElement));
    const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, here + step));
    const link = one("[data-open], a", rows[next]);
    if (link) link.focus();
    rows[next].scrollIntoView({ block: "nearest" });
  }

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    x: () => {
      const row = document.activeElement.closest("[data-row]");
      const box = row && one("[data-pick]", row);
      if (box) box.click();
    },
    "/": () => {
      const field = one("[data-search]");
      if (!field) return;
      field.focus();
      field.select();
    },
    "?": help,
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
    if (event.key === "Escape" && typing) typing.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
    if (Date.now() - went < 1200) {
      went = 0;
      const link = one(`[data-key="${CSS.escape(event.key)}"]`);
      if (link) {
        event.preventDefault();
        link.click();
        return;
      }
    }
    if (event.key === "g") {
      went = Date.now();
      return;
    }
    const act = KEYS[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });

  // --- begin ---------------------------------------------------------------------------------------------------------

  // Controls that are nothing without a script are hidden until there is one.
  function enliven(within = document) {
    for (const control of all("[data-copy], [data-help], [data-theme-switch], [data-scripted]", within)) control.hidden = false;
    tellSelection();
  }

  addEventListener("pageshow", tellSelection); // a browser that goes back has boxes as they were

  const query = new URLSearchParams(location.search);
  if (query.has("notice")) {
    query.delete("notice");
    const text = query.toString();
    history.replaceState(history.state, "", location.pathname + (text ? `?${text}` : "") + location.hash);
  }
  const tab = one(".tabs [aria-current]");
  const strip = one(".tabs");
  if (tab && strip.scrollWidth > strip.clientWidth) {
    strip.scrollLeft = tab.offsetLeft - (strip.clientWidth - tab.offsetWidth) / 2;
  }
  document.body.append(tip);
  enliven();
  tellTheme();
  tellTimes();
  setInterval(tellTimes, 1000);
  document.addEventListener("stoker:updated", (event) => {
    tellTimes(event.target);
    enliven(event.target);
  });
})();
