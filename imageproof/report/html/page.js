"use strict";
// Filter: statuses that are ticked, and words that are in a result.
const results = [...document.querySelectorAll(".result")];
const ticks = [...document.querySelectorAll(".filter input[type=checkbox]")];
const words = document.querySelector(".filter input[type=search]");
const choice = document.querySelector(".filter select");
const sections = [...document.querySelectorAll(".subject")];
const shown = document.querySelector("#shown");
function filter() {
  const wanted = new Set(ticks.filter((tick) => tick.checked).map((tick) => tick.value));
  const text = words.value.toLowerCase();
  for (const result of results)
    result.hidden = !wanted.has(result.dataset.status) || !result.textContent.toLowerCase().includes(text);
  for (const section of sections) {
    const other = choice.value && choice.value !== section.dataset.subject;
    if (other) for (const result of section.querySelectorAll(".result")) result.hidden = true;
    section.hidden = !section.querySelector(".result:not([hidden])");
  }
  shown.textContent = results.filter((result) => !result.hidden).length + " of " + results.length + " shown";
}
for (const input of [...ticks, words, choice]) input.addEventListener("input", filter);
filter();

// Treemap: squarified rectangles (Bruls, Huizing, van Wijk 2000).
function squarify(items, x, y, w, h) {
  const total = items.reduce((sum, item) => sum + item.bytes, 0);
  const placed = [];
  let rest = items.filter((item) => item.bytes > 0).map((item) => ({ item, area: (item.bytes / total) * w * h }));
  const worst = (row, side) => {
    const sum = row.reduce((s, r) => s + r.area, 0);
    return Math.max(...row.map((r) => Math.max((side * side * r.area) / (sum * sum), (sum * sum) / (side * side * r.area))));
  };
  while (rest.length) {
    const side = Math.min(w, h);
    let row = [rest[0]];
    while (row.length < rest.length && worst([...row, rest[row.length]], side) <= worst(row, side))
      row = [...row, rest[row.length]];
    const depth = row.reduce((s, r) => s + r.area, 0) / side;
    let at = w < h ? x : y;
    for (const { item, area } of row) {
      const long = area / depth;
      placed.push(w < h ? { item, x: at, y, w: long, h: depth } : { item, x, y: at, w: depth, h: long });
      at += long;
    }
    if (w < h) { y += depth; h -= depth; } else { x += depth; w -= depth; }
    rest = rest.slice(row.length);
  }
  return placed;
}
const size = (bytes) => (bytes >= 1e5 ? (bytes / 1e6).toFixed(1) + " MB" : (bytes / 1e3).toFixed(1) + " kB");
function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}
const LABEL = 22; // pixels: a line of text
const short = (name) => name.replace(/^\/.*\//, "");
function place(made, at) {
  for (const [key, value] of [["left", at.x], ["top", at.y], ["width", at.w], ["height", at.h]])
    made.style[key] = value + "px";
  return made;
}
// The parts of a node, and faintly the parts of those, which are for the eye alone.
function tiles(node, width, height, zoom) {
  return squarify(node.parts || [], 0, 0, width, height).map((at) => {
    const named = at.item.name + " " + size(at.item.bytes);
    const tile = place(button(named, () => at.item.parts && zoom(at.item)), at);
    tile.title = named;
    tile.setAttribute("aria-label", named);
    if (named.length * 7 > at.w) tile.textContent = at.w > LABEL ? short(at.item.name) : "";
    // A file can be reached too, to be read; there is nothing in it to go to.
    if (!at.item.parts) tile.setAttribute("aria-disabled", "true");
    tile.tabIndex = -1;
    if (at.item.parts && at.w > 3 * LABEL && at.h > 3 * LABEL)
      for (const inner of squarify(at.item.parts, 3, LABEL, at.w - 8, at.h - LABEL - 5)) {
        const part = place(document.createElement("span"), inner);
        part.setAttribute("aria-hidden", "true");
        if (inner.w > 2 * LABEL && inner.h > LABEL) part.textContent = short(inner.item.name);
        tile.append(part);
      }
    return tile;
  });
}
for (const map of document.querySelectorAll(".map")) {
  const trail = map.previousElementSibling;
  const path = [JSON.parse(document.getElementById(map.dataset.tree).textContent)];
  const draw = (focus) => {
    const here = path[path.length - 1];
    trail.replaceChildren(...path.map((node, depth) => button(node.name + " " + size(node.bytes), () => go(depth))));
    trail.lastChild.setAttribute("aria-current", "true");
    map.replaceChildren(...tiles(here, map.clientWidth || 600, map.clientHeight || 300, (item) => {
      path.push(item);
      draw(true);
    }));
    // One stop for Tab; arrows move on from there.
    if (map.firstChild) map.firstChild.tabIndex = 0;
    if (focus) (map.firstChild || trail.lastChild).focus();
  };
  const go = (depth) => { path.length = depth + 1; draw(true); };
  map.parentElement.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && path.length > 1) go(path.length - 2);
  });
  map.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const tiles = [...map.children];
    const next = tiles[(tiles.indexOf(event.target) + step + tiles.length) % tiles.length];
    if (!step || !next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  addEventListener("resize", () => draw(false));
  draw(false);
}
