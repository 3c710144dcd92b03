// Live pages: what stands in `data-live` stays up to date, by a stream or, where there is none, by looking again.
// Each element that was brought up to date says so with `stoker:updated`.
(() => {
  "use strict";

  const page = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);

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
    region.dispatchEvent(new CustomEvent("stoker:updated", { bubbles: true }));
  }

  // --- the stream ---------------------------------------------------------------------------------------------------

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
    source = new EventSource(`${page.dataset.root}ui/live?page=${encodeURIComponent(address())}`);
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
  watch();
})();
