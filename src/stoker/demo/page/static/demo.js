// The page of a search that goes on: what it has found so far, and the way to the result.
(() => {
  "use strict";

  const bar = document.querySelector("stoker-progress");
  const tally = document.querySelector("[data-tally]");
  const section = document.querySelector("[data-leading]");
  const list = section.querySelector("[data-list]");
  const cancel = document.querySelector("[data-cancel]");
  const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

  const strong = (text) => {
    const element = document.createElement("b");
    element.textContent = text;
    return element;
  };

  const row = (hit) => {
    const [name, folder] = [document.createElement("span"), document.createElement("span")];
    const cut = hit.path.lastIndexOf("/") + 1;
    folder.textContent = hit.path.slice(0, cut);
    name.className = "name";
    name.append(folder, strong(hit.path.slice(cut)));
    const item = document.createElement("li");
    item.append(name, strong(hit.matches.toLocaleString("en")));
    return item;
  };

  // The job's checkpoint is what it has found up to now; after a crash it goes on from there.
  bar.addEventListener("progress", ({ detail: { checkpoint: found, cancel_requested } }) => {
    cancel.disabled = cancel_requested;
    if (!found?.matching) return;
    tally.replaceChildren(
      strong(count(found.matches, "match", "matches")),
      ` in ${count(found.matching, "file", "files")} so far`,
    );
    section.hidden = false;
    list.replaceChildren(...found.best.slice(0, 5).map(row));
  });

  // Whoever killed the worker is told of the one in its place: a number of the dead may soon be another process's.
  const SECOND = 1000;
  const pids = document.querySelectorAll("[data-pid]");
  const nameWorker = async () => {
    try {
      const { pid } = await (await fetch("/worker")).json();
      for (const element of pids) element.textContent = pid;
    } catch {
      // The demo has ended, or the page is being left: there is nobody to name.
    }
  };
  setInterval(nameWorker, SECOND);

  for (const end of ["completed", "failed", "cancelled"]) {
    bar.addEventListener(end, () => {
      cancel.disabled = true;
      setTimeout(() => location.replace(location.href), 600); // long enough to see the bar full
    });
  }
})();
