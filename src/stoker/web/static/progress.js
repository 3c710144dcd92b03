// <stoker-progress job="ID" token="…"></stoker-progress>: the progress of one job, live, in any page.
//
// Attributes   job          the job's id
//              token        lets whoever has it follow this job; without one the visitor's own cookies count
//              src          where the application is mounted; without it, where this script came from
//              label        what the bar is called for those who hear it ("Progress")
//              result-href  where the result is, once there is one: {id} and {result} are filled in
//              link-text    what the link says ("Open the result")
// Properties   job, token, src (as the attributes), record (the job's record as it is known)
// Events       progress (every change, the last one too), completed, failed, cancelled: detail is the record
// State        the attribute `state` says how the job stands, for style sheets; it is written here
// Parts        bar, fill, label, value, message, error, link, icon
// Properties of style   --stoker-accent, --stoker-success, --stoker-danger, --stoker-track, --stoker-muted,
//              --stoker-height, --stoker-radius, --stoker-gap
//
// What it says is in English; another language: Object.assign(customElements.get("stoker-progress").words, {…}).
(() => {
  "use strict";

  const script = document.currentScript ?? document.querySelector('script[src*="static/progress.js"]');
  const HOME = script?.src ? new URL("..", script.src).href : document.baseURI;

  const FINAL = new Set(["completed", "failed", "cancelled"]);
  const SECOND = 1000;
  const FIRST_EVENT = 4 * SECOND; // a stream begins with an event: one that does not is held up on its way
  const QUIET = 45 * SECOND; // after so long without an event, see whether the stream still tells everything
  const LONGEST_QUIET = 600 * SECOND;
  const SUSPECT = 15 * SECOND; // the same when the page is seen again, or the network is back
  const ANSWER = 15 * SECOND;
  const POLL = SECOND;
  const LONGEST_POLL = 5 * SECOND;
  const LONGEST_RETRY = 30 * SECOND;
  const HELD_UP = 30 * SECOND; // how long to ask from time to time before a stream is tried again
  const LONGEST_HELD_UP = 300 * SECOND;
  const HIDDEN = 10 * SECOND; // a page that nobody looks at for so long gives its connections back, and asks that often
  const FLICKER = 3 * SECOND; // a connection that is back within this was never lost, to the eye

  // --- where records come from ---------------------------------------------------------------------------------------

  // Browsers have six connections to a site, for all its pages together, unless it speaks HTTP/2: one that is used up by
  // streams loads no more pages. Whoever finds no room among these asks from time to time.
  const streams = new Set();
  const room = () => {
    const [timing] = performance.getEntriesByName(script?.src ?? "", "resource");
    return /^h[23]/.test(timing?.nextHopProtocol ?? "") ? 50 : 3;
  };

  // Brings the records of a job, by server-sent events, else by asking from time to time, until the job has ended.
  // `told` has: record(record), gone(), refused(status), lost(), back().
  class Feed {
    #home;
    #job;
    #token;
    #told;
    #source = null;
    #timer = 0;
    #check = 0;
    #hiding = 0;
    #awaken = () => {};
    #quiet = QUIET;
    #failures = 0; // of streams, since the last event
    #last = null;
    #heard = 0;
    #ended = new AbortController();

    constructor(home, job, token, told) {
      [this.#home, this.#job, this.#token, this.#told] = [home, job, token, told];
      const { signal } = this.#ended;
      const seen = () => this.#seen();
      document.addEventListener("visibilitychange", seen, { signal });
      window.addEventListener("online", seen, { signal });
      window.addEventListener("pageshow", seen, { signal });
      this.#listen();
    }

    stop() {
      this.#ended.abort();
      this.#hush();
      clearTimeout(this.#hiding);
    }

    #url(path) {
      const url = new URL(`jobs/${encodeURIComponent(this.#job)}${path}`, this.#home);
      if (this.#token) url.searchParams.set("token", this.#token);
      return url.href;
    }

    #hush() {
      this.#source?.close();
      this.#source = null;
      streams.delete(this);
      this.#awaken = () => {};
      clearTimeout(this.#timer);
      clearTimeout(this.#check);
    }

    #listen() {
      this.#hush();
      if (this.#ended.signal.aborted) return;
      if (!this.#mayListen()) {
        this.#ask();
        return;
      }
      streams.add(this);
      const source = (this.#source = new EventSource(this.#url("/events")));
      this.#timer = setTimeout(() => this.#fallBack(HELD_UP, LONGEST_HELD_UP), FIRST_EVENT);
      for (const name of ["progress", ...FINAL]) {
        source.addEventListener(name, (event) => {
          if (source === this.#source) this.#hear(event.data);
        });
      }
      source.addEventListener("gone", () => source === this.#source && this.#end(() => this.#told.gone()));
      source.addEventListener("error", () => source === this.#source && this.#broken(source.readyState));
    }

    #mayListen() {
      return typeof EventSource !== "undefined" && streams.size < room() && document.visibilityState === "visible";
    }

    #seen() {
      clearTimeout(this.#hiding);
      if (document.visibilityState === "hidden") {
        this.#hiding = setTimeout(() => {
          if (this.#source === null) return;
          this.#hush();
          this.#ask();
        }, HIDDEN);
      } else if (this.#source === null) {
        this.#awaken();
      } else {
        this.#suspect(SUSPECT);
      }
    }

    #hear(text) {
      let record;
      try {
        record = JSON.parse(text);
      } catch {
        this.#broken();
        return;
      }
      clearTimeout(this.#timer);
      this.#failures = 0;
      this.#quiet = QUIET;
      this.#checkLater();
      this.#take(record);
    }

    // The stream ended, or never began. Browsers would connect again by themselves, but never with longer pauses, and
    // never again after an answer that they take for final.
    #broken(state) {
      this.#told.lost();
      if (state === EventSource.CLOSED || this.#failures > 0) {
        this.#fallBack(SECOND, LONGEST_RETRY);
        return;
      }
      this.#hush();
      this.#failures += 1;
      const listen = () => this.#listen();
      this.#timer = setTimeout(listen, jittered(SECOND));
      this.#awaken = listen;
    }

    #fallBack(pause, longest) {
      this.#hush();
      this.#failures += 1;
      this.#ask(Date.now() + jittered(Math.min(longest, pause * 2 ** (this.#failures - 1))));
    }

    // Ask from time to time; from `streamAt` on, and once there is an answer, try a stream where one may be.
    async #ask(streamAt = 0) {
      let pause = POLL;
      let retry = SECOND;
      while (!this.#ended.signal.aborted) {
        const answer = await this.#read();
        if (this.#ended.signal.aborted) return;
        if (answer.record) {
          retry = SECOND;
          pause = this.#take(answer.record) ? POLL : Math.min(LONGEST_POLL, pause * 1.5);
          if (this.#ended.signal.aborted) return;
          if (Date.now() >= streamAt && this.#mayListen()) {
            this.#listen();
            return;
          }
          await this.#rest(document.visibilityState === "hidden" ? Math.max(pause, HIDDEN) : pause);
        } else if (answer.refused) {
          this.#end(() => this.#told.refused(answer.refused));
        } else {
          this.#told.lost();
          await this.#rest(Math.max(answer.after ?? 0, jittered(retry)));
          retry = Math.min(LONGEST_RETRY, retry * 2);
        }
      }
    }

    async #read() {
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), ANSWER);
      const stop = () => late.abort();
      this.#ended.signal.addEventListener("abort", stop, { once: true });
      try {
        const answer = await fetch(this.#url(""), {
          cache: "no-store",
          headers: { accept: "application/json" },
          signal: late.signal,
        });
        if (answer.ok) return { record: await answer.json() };
        if (answer.status >= 400 && answer.status < 500 && ![408, 425, 429].includes(answer.status)) {
          return { refused: answer.status };
        }
        return { after: Math.min(LONGEST_RETRY, (Number(answer.headers.get("retry-after")) || 0) * SECOND) };
      } catch {
        return {};
      } finally {
        clearTimeout(timer);
        this.#ended.signal.removeEventListener("abort", stop);
      }
    }

    async #rest(pause) {
      await new Promise((done) => {
        this.#awaken = done;
        this.#timer = setTimeout(done, pause);
      });
      clearTimeout(this.#timer);
    }

    // A connection can be dead without anybody being told. Silence looks the same as nothing to say, so now and then it
    // is compared with the record; ever more rarely while it holds.
    #checkLater() {
      clearTimeout(this.#check);
      this.#heard = Date.now();
      this.#check = setTimeout(() => this.#suspect(0), jittered(this.#quiet));
    }

    async #suspect(after) {
      if (this.#last === null || Date.now() - this.#heard < after) return;
      this.#quiet = Math.min(LONGEST_QUIET, this.#quiet * 2);
      this.#checkLater();
      const source = this.#source;
      const { record } = await this.#read();
      if (source !== this.#source || this.#ended.signal.aborted || !record) return;
      if (this.#take(record) && !this.#ended.signal.aborted) this.#fallBack(SECOND, LONGEST_RETRY);
    }

    // Whether the record says anything new.
    #take(record) {
      const last = this.#last;
      this.#told.back();
      if (last !== null && last.updated_at === record.updated_at && last.state === record.state) {
        if (record.position === undefined || record.position === last.position) return false;
      }
      this.#last = record;
      if (FINAL.has(record.state)) this.#end(() => this.#told.record(record));
      else this.#told.record(record);
      return true;
    }

    #end(tell) {
      this.stop();
      tell();
    }
  }

  const jittered = (pause) => pause * (0.5 + Math.random() / 2);

  // --- what is said --------------------------------------------------------------------------------------------------

  const ordinals = new Intl.PluralRules("en", { type: "ordinal" });
  const ENDINGS = { one: "st", two: "nd", few: "rd", other: "th" };

  const WORDS = {
    name: "Progress",
    connecting: "Connecting",
    waiting: (others) => (others === 1 ? "Waiting for another job" : `Waiting for ${others || "other"} jobs`),
    scheduled: "Scheduled",
    again: "Trying again",
    at: (time) => `at ${time}`,
    on: (time) => time,
    queued: "Queued",
    line: (place) => (place === 1 ? "next in line" : `${place}${ENDINGS[ordinals.select(place)]} in line`),
    processing: "Processing",
    attempt: (attempt, most) => `Processing, attempt ${attempt} of ${most}`,
    cancelling: "Cancelling",
    percent: (number) => `${number} %`,
    completed: "Completed",
    failed: "Failed",
    unexplained: "It failed without saying why.",
    cancelled: "Cancelled",
    link: "Open the result",
    lost: "Connection lost, reconnecting",
    gone: "This job is not there any more",
    denied: "This page may not follow the job any more; load it again",
    refused: "This job cannot be followed",
    nothing: "No job",
  };

  const NOTHING = { value: "", message: "", error: "", percent: null };

  // How a record looks: what is said of it, and how full the bar is (null: nobody knows).
  const describe = (record, words, locale) => {
    const look = { ...NOTHING, state: record.state, label: "", message: record.message ?? "" };
    switch (record.state) {
      case "waiting":
        look.label = words.waiting(record.open_parents?.length ?? 0);
        break;
      case "scheduled":
        look.label = record.error ? words.again : words.scheduled;
        look.value = whenDue(record.run_at, words, locale);
        look.message = record.error ?? look.message;
        break;
      case "queued":
        look.label = words.queued;
        if (Number.isInteger(record.position)) look.value = words.line(record.position + 1);
        break;
      case "processing":
        // A crash begins another attempt and spends none, so each allows for one more.
        look.label =
          record.attempt > 1
            ? words.attempt(record.attempt, record.max_attempts + (record.crashes ?? 0))
            : words.processing;
        if (record.cancel_requested) look.label = words.cancelling;
        look.percent = percentOf(record.progress);
        break;
      case "completed":
        look.label = words.completed;
        look.percent = 100;
        break;
      case "failed":
        look.label = words.failed;
        look.message = "";
        look.error = record.error || words.unexplained;
        look.percent = percentOf(record.progress);
        break;
      case "cancelled":
        look.label = words.cancelled;
        look.message = record.error ?? "";
        look.percent = percentOf(record.progress);
        break;
      default:
        look.label = String(record.state);
    }
    if (look.percent !== null) look.value = words.percent(look.percent);
    return look;
  };

  // 99.9 % is not 100 %.
  const percentOf = (progress) =>
    typeof progress === "number" ? Math.max(0, Math.min(100, Math.floor(progress * 100 + 1e-9))) : null;

  const whenDue = (text, words, locale) => {
    const due = new Date(text);
    if (Number.isNaN(due.valueOf())) return "";
    const today = due.toDateString() === new Date().toDateString();
    const soon = Math.abs(due - Date.now()) < 600 * SECOND;
    const style = today ? { timeStyle: soon ? "medium" : "short" } : { dateStyle: "medium", timeStyle: "short" };
    const time = due.toLocaleString(locale, style);
    return today ? words.at(time) : words.on(time);
  };

  // An address that a link may have: of the web, or on this very site. Anything else that a task returned is no address.
  const safe = (text) =>
    typeof text === "string" && /^(https?:\/\/|\/(?![/\\]))/i.test(text) ? resolved(text) : null;

  const resolved = (address) => {
    try {
      return new URL(address, document.baseURI).href;
    } catch {
      return null;
    }
  };

  const filled = (template, record) =>
    template.replace(/\{(id|result)\}/g, (_, name) =>
      encodeURIComponent(typeof record[name] === "object" ? JSON.stringify(record[name]) : String(record[name])),
    );

  // --- how it looks --------------------------------------------------------------------------------------------------

  const CIRCLE = "M14.25 8a6.25 6.25 0 1 1-12.5 0 6.25 6.25 0 0 1 12.5 0Z";
  const ICONS = {
    clock: `${CIRCLE}M8 4.6V8l2.3 1.6`,
    arc: "M14.25 8A6.25 6.25 0 1 1 8 1.75",
    check: `${CIRCLE}M5.2 8.2l2 2 3.7-4.2`,
    alarm: `${CIRCLE}M8 4.7v3.8M8 11.1v.1`,
    dash: `${CIRCLE}M5.3 8h5.4`,
  };
  const ICON_OF = {
    waiting: "clock",
    scheduled: "clock",
    queued: "clock",
    completed: "check",
    failed: "alarm",
    refused: "alarm",
    cancelled: "dash",
  };

  const styles = new CSSStyleSheet();
  styles.replaceSync(`
    :host {
      --accent: var(--stoker-accent, #2f6bed);
      --success: var(--stoker-success, #16874a);
      --danger: var(--stoker-danger, #d1293d);
      --muted: var(--stoker-muted, color-mix(in srgb, currentColor 68%, transparent));
      --tone: var(--accent);
      display: block;
      min-inline-size: 8rem;
      line-height: 1.4;
    }
    /* What the visitor prefers, where the page goes along with it: a light page stays light. */
    @supports (color: light-dark(red, red)) {
      :host {
        --accent: var(--stoker-accent, light-dark(#2f6bed, #6ea0ff));
        --success: var(--stoker-success, light-dark(#16874a, #3fbf7c));
        --danger: var(--stoker-danger, light-dark(#d1293d, #ff6b7a));
      }
    }
    :host([hidden]) { display: none; }
    :host([state="completed"]) { --tone: var(--success); }
    :host([state="failed"]), :host([state="refused"]) { --tone: var(--danger); }
    :host([state="cancelled"]), :host([lost]) { --tone: var(--muted); }
    .row { display: flex; align-items: baseline; gap: 0.75em; }
    .head { margin-block-end: var(--stoker-gap, 0.45em); }
    .label { flex: 1; display: flex; align-items: baseline; gap: 0.5em; font-weight: 600; min-inline-size: 0; }
    .words { min-inline-size: 0; overflow-wrap: anywhere; }
    .icon { flex: none; align-self: flex-start; inline-size: 1em; block-size: 1em; margin-block-start: 0.2em; color: var(--tone); overflow: visible; }
    .icon path { fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }
    .value { flex: none; color: var(--muted); font-variant-numeric: tabular-nums; }
    .bar {
      position: relative;
      block-size: var(--stoker-height, 0.5rem);
      border-radius: var(--stoker-radius, 999px);
      background: var(--stoker-track, color-mix(in srgb, currentColor 14%, transparent));
      overflow: hidden;
      contain: strict;
    }
    .fill {
      position: absolute;
      inset-block: 0;
      inset-inline-start: 0;
      inline-size: 0;
      border-radius: inherit;
      overflow: hidden;
      background-color: var(--tone);
      transition: inline-size 0.45s cubic-bezier(0.2, 0.7, 0.2, 1), background-color 0.3s;
    }
    :host([state="failed"]) .fill.none { inline-size: 100%; }
    .fill.still { transition: none; }
    .fill.some { min-inline-size: var(--stoker-height, 0.5rem); }
    .fill::after {
      content: "";
      position: absolute;
      inset: 0;
      background: linear-gradient(90deg, transparent, rgb(255 255 255 / 0.38), transparent);
      transform: translateX(-100%);
    }
    .foot { font-size: 0.875em; margin-block-start: var(--stoker-gap, 0.45em); min-block-size: 1.4em; }
    .text { flex: 1; min-inline-size: 0; overflow-wrap: anywhere; }
    .message { color: var(--muted); }
    .error { color: color-mix(in srgb, var(--danger) 82%, currentColor); white-space: pre-line; }
    .link { flex: none; color: color-mix(in srgb, var(--accent) 82%, currentColor); text-underline-offset: 0.2em; }
    .link:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 2px; }
    .spoken { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    [hidden] { display: none; }

    .bar.unknown .fill { inline-size: 38%; transition: none; animation: pass 1.6s cubic-bezier(0.5, 0.1, 0.5, 0.9) infinite; }
    :host([state="queued"]) .bar { animation: breathe 2.4s ease-in-out infinite; }
    :host([state="processing"]:not([lost])) .fill.some::after { animation: shine 2.2s ease-in-out infinite; }
    .icon.turning { animation: turn 1s linear infinite; }
    @keyframes pass { from { transform: translateX(-110%); } to { transform: translateX(275%); } }
    @keyframes shine { 40%, to { transform: translateX(100%); } }
    @keyframes breathe { 50% { opacity: 0.55; } }
    @keyframes turn { to { transform: rotate(1turn); } }

    @media (prefers-reduced-motion: reduce) {
      .fill { transition: none; }
      :host .bar, :host .fill, :host .fill.some::after, .bar.unknown .fill, .icon.turning { animation: none !important; }
      .bar.unknown .fill {
        inline-size: 100%;
        background: repeating-linear-gradient(120deg, var(--tone) 0 6px, transparent 6px 14px);
        opacity: 0.6;
      }
    }
    @media (forced-colors: active) {
      .bar { border: 1px solid CanvasText; }
      .fill { background-color: Highlight; forced-color-adjust: none; }
    }
  `);

  const make = (tag, part, ...inside) => {
    const element = document.createElement(tag);
    if (part) {
      element.className = part;
      element.setAttribute("part", part);
    }
    element.append(...inside);
    return element;
  };

  const svg = (tag, facts) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(facts)) element.setAttribute(name, value);
    return element;
  };

  // --- the element ---------------------------------------------------------------------------------------------------

  class StokerProgress extends HTMLElement {
    static observedAttributes = ["job", "token", "src", "label", "result-href", "link-text"];
    static words = { ...WORDS };

    #feed = null;
    #record = null;
    #refusal = "";
    #followed = null; // what it follows, or followed to the end
    #changing = false;
    #lost = false;
    #losing = 0;
    #spoken = "";
    #known = false;

    #path = svg("path", {});
    #icon = svg("svg", { viewBox: "0 0 16 16", class: "icon", part: "icon", "aria-hidden": "true" });
    #words = make("span", "");
    #value = make("span", "value");
    #fill = make("div", "fill");
    #bar = make("div", "bar", this.#fill);
    #message = make("span", "message");
    #error = make("span", "error");
    #link = make("a", "link");
    #status = make("div", "");

    constructor() {
      super();
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [styles];
      this.#icon.append(this.#path);
      this.#words.className = "words";
      this.#bar.setAttribute("role", "progressbar");
      this.#bar.setAttribute("aria-valuemin", "0");
      this.#bar.setAttribute("aria-valuemax", "100");
      this.#status.className = "spoken";
      this.#status.setAttribute("role", "status");
      const text = make("span", "", this.#message, this.#error);
      text.className = "text";
      const head = make("div", "", make("span", "label", this.#icon, this.#words), this.#value);
      head.className = "row head";
      const foot = make("div", "", text, this.#link);
      foot.className = "row foot";
      root.append(head, this.#bar, foot, this.#status);
    }

    get record() {
      return this.#record;
    }

    connectedCallback() {
      for (const name of ["job", "token", "src"]) this.#upgrade(name);
      this.#begin();
    }

    disconnectedCallback() {
      this.#stop();
    }

    attributeChangedCallback(name, before, after) {
      if (before === after || !this.isConnected || this.#changing) return;
      this.#changing = true; // several that change together are one change
      queueMicrotask(() => {
        this.#changing = false;
        if (!this.isConnected) return;
        if (this.#followed !== this.#target) this.#begin();
        else this.#show();
      });
    }

    get #target() {
      return JSON.stringify([this.getAttribute("job"), this.getAttribute("token"), this.getAttribute("src")]);
    }

    // Follow what the attributes say. What was followed to its end is not followed again.
    #begin() {
      const ended = this.#refusal || (this.#record !== null && FINAL.has(this.#record.state));
      if (this.#followed === this.#target && ended) return;
      this.#stop();
      const anew = this.#followed !== this.#target;
      this.#followed = this.#target;
      if (anew) [this.#record, this.#refusal] = [null, ""];
      const job = this.getAttribute("job");
      if (job) {
        const told = {
          record: (record) => this.#take(record),
          gone: () => this.#refuse("gone"),
          refused: (status) => this.#refuse(status === 404 || status === 410 ? "gone" : DENIED.has(status) ? "denied" : "refused"),
          lost: () => this.#lose(),
          back: () => this.#find(),
        };
        this.#feed = new Feed(this.#home, job, this.getAttribute("token"), told);
      }
      this.#show();
    }

    #stop() {
      this.#feed?.stop();
      this.#feed = null;
      this.#find();
    }

    get #home() {
      const src = this.getAttribute("src");
      return src ? new URL(src.endsWith("/") ? src : `${src}/`, document.baseURI).href : HOME;
    }

    #take(record) {
      this.#record = record;
      this.#show();
      this.#dispatch("progress", record);
      if (FINAL.has(record.state)) this.#dispatch(record.state, record);
    }

    #dispatch(name, detail) {
      this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
    }

    #refuse(why) {
      this.#find();
      this.#refusal = why;
      this.#show();
    }

    #lose() {
      if (this.#losing || this.#lost) return;
      this.#losing = setTimeout(() => {
        this.#lost = true;
        this.#show();
      }, FLICKER);
    }

    #find() {
      clearTimeout(this.#losing);
      this.#losing = 0;
      if (!this.#lost) return;
      this.#lost = false;
      this.#show();
    }

    #show() {
      const words = this.constructor.words;
      const look = this.#look(words);
      this.setAttribute("state", look.state);
      this.toggleAttribute("lost", this.#lost);
      this.#draw(look.percent, ["connecting", "processing"].includes(look.state) && look.percent === null);
      const icon = this.#lost ? "arc" : (ICON_OF[look.state] ?? "arc");
      this.#path.setAttribute("d", ICONS[icon]);
      this.#icon.classList.toggle("turning", icon === "arc");
      this.#words.textContent = look.label;
      this.#value.textContent = look.value;
      this.#message.textContent = look.message;
      this.#message.hidden = !look.message;
      this.#error.textContent = look.error;
      this.#error.hidden = !look.error;
      this.#showLink(words);
      this.#bar.setAttribute("aria-label", this.getAttribute("label") || words.name);
      this.#bar.setAttribute("aria-valuetext", look.value ? `${look.label}, ${look.value}` : look.label);
      this.#say(look);
    }

    #look(words) {
      if (this.#refusal) return { ...NOTHING, state: "refused", label: words[this.#refusal] };
      if (!this.getAttribute("job")) return { ...NOTHING, state: "none", label: words.nothing };
      const look = this.#record
        ? describe(this.#record, words, this.#locale)
        : { ...NOTHING, state: "connecting", label: words.connecting };
      return this.#lost ? { ...look, label: words.lost } : look;
    }

    get #locale() {
      const lang = this.closest("[lang]")?.lang || undefined;
      try {
        return Intl.getCanonicalLocales(lang)[0];
      } catch {
        return undefined;
      }
    }

    #draw(percent, unknown) {
      const known = !unknown;
      this.#bar.classList.toggle("unknown", unknown);
      this.#fill.classList.toggle("some", percent > 0);
      this.#fill.classList.toggle("none", percent === null);
      this.#fill.classList.toggle("still", known && !this.#known);
      this.#fill.style.inlineSize = percent === null ? "" : `${percent}%`;
      if (known && !this.#known) void this.#fill.offsetWidth; // from nowhere it does not move, it is there
      this.#fill.classList.remove("still");
      this.#known = known;
      if (percent === null) this.#bar.removeAttribute("aria-valuenow");
      else this.#bar.setAttribute("aria-valuenow", String(percent));
    }

    #showLink(words) {
      const record = this.#record;
      let address = null;
      if (record?.state === "completed" && !this.#refusal) {
        const template = this.getAttribute("result-href");
        address = template ? safe(resolved(filled(template, record))) : safe(record.result);
      }
      this.#link.hidden = address === null;
      this.#link.textContent = address === null ? "" : this.getAttribute("link-text") || words.link;
      if (address === null) this.#link.removeAttribute("href");
      else this.#link.href = address;
    }

    // Those who hear the page are told when the state changes; how far it is they can ask the bar.
    #say(look) {
      const now = `${look.state} ${look.label}`;
      if (now === this.#spoken) return;
      this.#spoken = now;
      this.#status.textContent = look.error ? `${look.label}: ${look.error}` : look.label;
    }

    // What was set before the browser knew this element stands in the way of its properties.
    #upgrade(name) {
      if (!Object.hasOwn(this, name)) return;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
  }

  const DENIED = new Set([401, 403]);

  for (const name of ["job", "token", "src"]) {
    Object.defineProperty(StokerProgress.prototype, name, {
      configurable: true,
      enumerable: true,
      get() {
        return this.getAttribute(name);
      },
      set(value) {
        if (value === null || value === undefined) this.removeAttribute(name);
        else this.setAttribute(name, value);
      },
    });
  }

  if (!customElements.get("stoker-progress")) customElements.define("stoker-progress", StokerProgress);
})();
