// The picture of a workflow: moved by dragging, touch, wheel and arrows, zoomed by pinch, wheel, buttons and keys.
// Without this it is a picture in a box that scrolls.
(() => {
  "use strict";

  const LARGEST = 1.6; // pixels on the screen for one of the picture
  const STEP = 1.25;
  const MOVE = 60; // pixels that an arrow moves it
  const card = document.querySelector(".graph-card");
  const frame = card && card.querySelector("[data-graph]");
  if (!frame) return;

  let view = null; // what is seen of the picture: { x, y, width, height } in its own pixels
  let seen = null; // the size of the picture that the view was made for
  const fingers = new Map();
  let pinch = null;
  let dragged = false;

  const box = () => frame.querySelector(".graph");
  const picture = () => frame.querySelector(".graph-picture");
  const size = () => ({ width: Number(picture().getAttribute("width")), height: Number(picture().getAttribute("height")) });
  const clamp = (number, least, most) => Math.min(Math.max(number, least), Math.max(least, most));

  // --- the view --------------------------------------------------------------------------------------------------------

  // Wide pictures are as high as they need to be, up to the height of the window's greater part.
  function outline() {
    const all = size();
    const width = frame.clientWidth;
    const most = Math.min(innerHeight * 0.62, 640);
    return { width, height: clamp(Math.min(all.height, (all.height * width) / Math.min(all.width, width * 2)), 160, most) };
  }

  function fit() {
    const all = size();
    const room = outline();
    const scale = Math.min(room.width / all.width, room.height / all.height, 1);
    view = { width: room.width / scale, height: room.height / scale };
    view.x = (all.width - view.width) / 2;
    view.y = (all.height - view.height) / 2;
    show();
  }

  // Where all of it would be too small to be read: its beginning, in a size that can be.
  function begin() {
    fit();
    if (scale() >= 0.6) return;
    const all = size();
    const room = outline();
    view.width = room.width / 0.8;
    view.height = room.height / 0.8;
    view.x = Math.min(0, (all.width - view.width) / 2);
    view.y = (all.height - view.height) / 2;
    if (all.height > view.height) view.y = clamp(firstMiddle() - view.height / 2, 0, all.height - view.height);
    show();
  }

  function firstMiddle() {
    const first = frame.querySelector(".node > svg");
    return first ? Number(first.getAttribute("y")) + Number(first.getAttribute("height")) : 0;
  }

  function show() {
    const all = size();
    const room = outline();
    view.x = clamp(view.x, Math.min(0, all.width - view.width) - 40, Math.max(0, all.width - view.width) + 40);
    view.y = clamp(view.y, Math.min(0, all.height - view.height) - 40, Math.max(0, all.height - view.height) + 40);
    box().dataset.nowMoved = "yes";
    box().style.height = `${Math.round(room.height)}px`;
    picture().setAttribute("viewBox", [view.x, view.y, view.width, view.height].map((one) => one.toFixed(2)).join(" "));
  }

  const scale = () => frame.clientWidth / view.width;

  function zoom(factor, point = null) {
    const all = size();
    const room = outline();
    const least = Math.min(room.width / all.width, room.height / all.height, 1) * 0.9;
    const wanted = clamp(scale() * factor, least, LARGEST);
    const by = scale() / wanted;
    const at = point || { x: 0.5, y: 0.5 };
    view.x += view.width * (1 - by) * at.x;
    view.y += view.height * (1 - by) * at.y;
    view.width *= by;
    view.height *= by;
    show();
  }

  function move(x, y) {
    view.x += x / scale();
    view.y += y / scale();
    show();
  }

  function within(event) {
    const place = box().getBoundingClientRect();
    return { x: (event.clientX - place.left) / place.width, y: (event.clientY - place.top) / place.height };
  }

  // --- pointers --------------------------------------------------------------------------------------------------------

  // The page scrolls past the picture, unless one pinches, holds a key, or has clicked into it.
  frame.addEventListener("wheel", (event) => {
    if (!view) return;
    const zooms = event.ctrlKey || event.metaKey || frame.contains(document.activeElement);
    if (!zooms && event.deltaX === 0) return;
    event.preventDefault();
    if (zooms && event.deltaY !== 0) zoom(Math.exp(-clamp(event.deltaY, -120, 120) / 300), within(event));
    else move(event.deltaX, 0);
  }, { passive: false });

  frame.addEventListener("pointerdown", (event) => {
    if (!view || (event.pointerType === "mouse" && event.button !== 0)) return;
    fingers.set(event.pointerId, event);
    pinch = fingers.size === 2 ? span() : null;
    dragged = false;
  });

  frame.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (fingers.size === 1) {
      const far = Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
      if (!dragged && far < 5) return;
      if (!dragged) frame.setPointerCapture(event.pointerId);
      dragged = true;
      box().dataset.nowDragged = "yes";
      move(before.clientX - event.clientX, before.clientY - event.clientY);
    }
    fingers.set(event.pointerId, event);
    if (pinch && fingers.size === 2) {
      dragged = true;
      const now = span();
      zoom(now.length / pinch.length, now.middle);
      pinch = now;
    }
  });

  function span() {
    const [one, other] = [...fingers.values()].map(within);
    const place = box().getBoundingClientRect();
    return {
      length: Math.max(1, Math.hypot((one.x - other.x) * place.width, (one.y - other.y) * place.height)),
      middle: { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 },
    };
  }

  function lift(event) {
    fingers.delete(event.pointerId);
    pinch = null;
    if (fingers.size === 0 && box()) delete box().dataset.nowDragged;
  }

  frame.addEventListener("pointerup", lift);
  frame.addEventListener("pointercancel", lift);

  // What ends a drag is no click on a step.
  frame.addEventListener("click", (event) => {
    if (dragged) event.preventDefault();
    dragged = false;
  }, true);
  frame.addEventListener("dragstart", (event) => event.preventDefault());

  // --- buttons and keys ------------------------------------------------------------------------------------------------

  const ZOOMS = { in: () => zoom(STEP), out: () => zoom(1 / STEP), fit };

  card.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    if (button && view) ZOOMS[button.dataset.zoom]();
  });

  const KEYS = {
    ArrowLeft: () => move(-MOVE, 0),
    ArrowRight: () => move(MOVE, 0),
    ArrowUp: () => move(0, -MOVE),
    ArrowDown: () => move(0, MOVE),
    "+": ZOOMS.in,
    "=": ZOOMS.in,
    "-": ZOOMS.out,
    0: fit,
  };

  frame.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!view || !act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });

  // A step that gets the focus is brought into view.
  frame.addEventListener("focusin", (event) => {
    const node = event.target.closest(".node");
    if (!view || !node || dragged || fingers.size) return;
    const step = node.querySelector("svg");
    const at = { x: Number(step.getAttribute("x")) + 24, y: Number(step.getAttribute("y")) + 24 };
    const width = Number(step.getAttribute("width"));
    const height = Number(step.getAttribute("height"));
    view.x = clamp(view.x, at.x + width + 16 - view.width, at.x - 16);
    view.y = clamp(view.y, at.y + height + 16 - view.height, at.y - 16);
    box().scrollTo(0, 0);
    show();
  });

  // --- begin -----------------------------------------------------------------------------------------------------------

  function settle() {
    if (!picture()) {
      view = null;
      return;
    }
    const now = `${size().width} ${size().height}`;
    if (view && seen === now) show();
    else begin();
    seen = now;
  }

  frame.addEventListener("stoker:updated", settle);
  let width = frame.clientWidth;
  new ResizeObserver(() => {
    if (frame.clientWidth === width) return;
    if (view) {
      const by = width / view.width;
      width = frame.clientWidth;
      view.width = width / by;
      view.height = outline().height / by;
      show();
    } else width = frame.clientWidth;
  }).observe(frame);
  settle();
})();
