// The dashboard in the browser: pages work without this; with it they stay up to date and answer to the keyboard.
(() => {
  "use strict";

  const page = document.documentElement;
  const root = page.dataset.root;
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

  // --- morphing: make what is there like what came, and leave alone what a person is doing ---------------------------

  const MINE = { INPUT: ["value", "checked"], TEXTAREA: ["value"], OPTION: ["selected"], DETAILS: ["open"], DIALOG: ["open"] };

  function morphAttributes(old, fresh) {
    const mine = MINE[old.nodeName] || [];
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !mine.includes(name) && !name.startsWith("data-now-")) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      const kept = mine.includes(name) && !(old.type === "hidden" && name === "value");
      if (!kept && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  const keyOf = (node) => (node.nodeType === 1 ? node.id || null : null);
  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  function morph(old, fresh) {
    if (old.nodeType !== 1) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.isEqualNode(fresh)) return;
    morphAttributes(old, fresh);
    if (old.nodeName === "TEXTAREA") return;
    morphChildren(old, fresh, old.hasAttribute("data-calm") && busy(old));
  }

  // Somebody points at it or has selected something in it: rows must not move now.
  function busy(element) {
    return element.matches(":hover") || element.contains(document.activeElement) || one("input:checked", element) !== null;
  }

  function morphChildren(old, fresh, calm) {
    const keyed = new Map(all(":scope > [id]", old).map((child) => [child.id, child]));
    if (calm) {
      for (const child of fresh.children) if (keyed.has(child.id)) morph(keyed.get(child.id), child);
      return;
    }
    const wanted = new Set(all(":scope > [id]", fresh).map((child) => child.id));
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      while (at && keyOf(at) && !wanted.has(keyOf(at))) at = drop(at);
      const known = keyOf(child) ? keyed.get(child.id) : null;
      if (known) {
        if (known === at) at = at.nextSibling;
        else old.insertBefore(known, at);
        morph(known, child);
      } else if (at && !keyOf(at) && alike(at, child)) {
        const next = at.nextSibling;
        morph(at, child);
        at = next;
      } else {
        old.insertBefore(document.importNode(child, true), at);
      }
    }
    while (at) at = drop(at);
  }

  function drop(node) {
    const next = node.nextSibling;
    node.remove();
    return next;
  }

  function update(region, fresh) {
    morphChildren(region, fresh, false);
    tellTimes(region);
    enliven(region);
    region.dispatchEvent(new CustomEvent("stoker:updated", { bubbles: true }));
  }

  // --- live ----------------------------------------------------------------------------------------------------------

  const POLL = 5000; // ms between two looks where there is no stream
  const SILENT = 8000; // ms after which a stream that says nothing is taken for none
  const WORRY = 3000; // ms without the server after which a person is told
  let source = null;
  let worry = null;
  let poll = null;
  let patience = null;
  let heard = false;

  function trouble(text) {
    const banner = one("[data-trouble]");
    if (!banner) return;
    if (text) one("span", banner).textContent = text;
    banner.hidden = !text;
  }

  function take(blocks) {
    for (const [name, html] of Object.entries(blocks)) {
      const region = one(`[data-live="${CSS.escape(name)}"]`);
      if (!region) continue;
      const fresh = document.createElement("template");
      fresh.innerHTML = html;
      update(region, fresh.content);
    }
  }

  function address() {
    const query = new URLSearchParams(location.search);
    query.delete("notice");
    const text = query.toString();
    return page.dataset.page + (text ? `?${text}` : "");
  }

  function watch() {
    if (source || poll || document.hidden || !one("[data-live]")) return;
    heard = false;
    source = new EventSource(`${root}ui/live?page=${encodeURIComponent(address())}`);
    const hear = () => {
      heard = true;
      clearTimeout(patience);
      clearTimeout(worry);
      worry = null;
    };
    source.addEventListener("blocks", (event) => {
      hear();
      trouble(null);
      take(JSON.parse(event.data));
    });
    source.addEventListener("trouble", (event) => {
      hear();
      const said = JSON.parse(event.data);
      trouble(`${said.detail[0].toUpperCase()}${said.detail.slice(1)}. This page goes on by itself.`);
    });
    source.addEventListener("again", () => {
      rest();
      watch();
    });
    source.addEventListener("error", () => {
      worry ??= setTimeout(() => trouble("The server does not answer. This page goes on by itself."), WORRY);
      if (source && source.readyState === EventSource.CLOSED) fallBack();
    });
    patience = setTimeout(() => heard || fallBack(), SILENT);
  }

  function rest() {
    clearTimeout(patience);
    clearTimeout(worry);
    clearInterval(poll);
    if (source) source.close();
    source = poll = worry = null;
  }

  function fallBack() {
    rest();
    if (document.hidden) return;
    poll = setInterval(look, POLL);
    look();
  }

  async function look() {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const region of all("[data-live]")) {
          const other = one(`[data-live="${CSS.escape(region.dataset.live)}"]`, fresh);
          if (other) update(region, other);
        }
        trouble(null);
      } else if (answer.status === 503) {
        trouble("The store of jobs cannot be reached now. This page goes on by itself.");
      } else {
        trouble(`The server answers with ${answer.status}; reload the page.`);
      }
    } catch {
      trouble("The server does not answer. This page goes on by itself.");
    }
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : watch()));
  addEventListener("pagehide", rest);
  addEventListener("pageshow", watch);

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
      for (const told of all("[data-picked]", form)) told.textContent = String(picked);
      for (const button of all("[data-needs-pick]", form)) button.disabled = picked === 0;
      form.toggleAttribute("data-now-picked", picked > 0);
    }
  }

  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("[data-pick-all]")) {
      for (const other of all("[data-pick]", box.form)) other.checked = box.checked;
    }
    if (box.matches("[data-pick], [data-pick-all]")) tellSelection();
    if (box.matches("[data-submit]")) box.form.requestSubmit();
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
    for (const link of all("a[data-close]", dialog)) {
      link.addEventListener("click", (event) => {
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
      const folded = field.closest("details");
      if (folded) folded.open = true;
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
  watch();
})();
