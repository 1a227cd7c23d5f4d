"use strict";
// The filter of the matrix: rows that contain the text, or only rows with a problem.
const matrix = document.querySelector(".matrix");
const form = document.querySelector(".filter");
function filter() {
  const wanted = form.querySelector("[type=search]").value.toLowerCase();
  const problems = form.querySelector("[type=checkbox]").checked;
  let shown = 0;
  for (const body of matrix.tBodies) {
    const rows = [...body.rows].slice(1);
    for (const row of rows) {
      const problem = row.querySelector(".fail, .unknown, .warning, .waived");
      row.hidden = !row.textContent.toLowerCase().includes(wanted) || (problems && !problem);
    }
    const visible = rows.filter((row) => !row.hidden).length;
    body.hidden = !visible;
    shown += visible;
  }
  form.querySelector("output").textContent = shown + (shown === 1 ? " check" : " checks") + " shown";
  setTabStop(matrix.querySelector("tr:not([hidden]) > td > a"));
}

// Tab stops once in the matrix; arrow keys, Home and End move within it.
const linksOf = (row) => [...row.cells].map((cell) => cell.querySelector("a"));
function setTabStop(link) {
  for (const other of matrix.querySelectorAll("a[tabindex='0']")) other.tabIndex = -1;
  if (link) link.tabIndex = 0;
}
function neighbour(link, key) {
  const row = link.closest("tr");
  const links = linksOf(row).filter(Boolean);
  const at = links.indexOf(link);
  if (key === "Home") return links[0];
  if (key === "End") return links[links.length - 1];
  if (key === "ArrowLeft") return links[at - 1];
  if (key === "ArrowRight") return links[at + 1];
  const column = link.closest("td").cellIndex;
  const rows = [...matrix.rows].filter((other) => !other.hidden && !other.parentElement.hidden);
  const step = key === "ArrowUp" ? -1 : 1;
  for (let next = rows.indexOf(row) + step; rows[next]; next += step) {
    const target = linksOf(rows[next])[column]; // heads of groups have no links
    if (target) return target;
  }
}
if (matrix) {
  for (const link of matrix.querySelectorAll("a")) link.tabIndex = -1;
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  matrix.addEventListener("focusin", (event) => setTabStop(event.target));
  matrix.addEventListener("keydown", (event) => {
    if (!["Home", "End", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(event.key)) return;
    const next = neighbour(event.target, event.key);
    event.preventDefault();
    if (next) next.focus();
  });
  filter();
}

// Size map: a squarified treemap (Bruls, Huizing, van Wijk 2000).
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
      const length = area / depth;
      placed.push(w < h ? { item, x: at, y, w: length, h: depth } : { item, x, y: at, w: depth, h: length });
      at += length;
    }
    if (w < h) { y += depth; h -= depth; } else { x += depth; w -= depth; }
    rest = rest.slice(row.length);
  }
  return placed;
}
const size = (bytes) => (bytes >= 1e5 ? (bytes / 1e6).toFixed(1) + " MB" : (bytes / 1e3).toFixed(1) + " kB");
function button(text, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.addEventListener("click", onClick);
  return element;
}
const LABEL = 22; // height of a line of text, in pixels
const LETTER = 7; // about the width of a letter, in pixels
const short = (name) => name.replace(/^\/.*\//, "");
function place(element, box) {
  for (const [key, value] of [["left", box.x], ["top", box.y], ["width", box.w], ["height", box.h]])
    element.style[key] = value + "px";
  return element;
}
// Draw the parts of a node in its element, as deep as there is room; only for the eye.
function decorate(element, parts, width, height) {
  if (!parts || width < 3 * LABEL || height < 3 * LABEL) return;
  for (const box of squarify(parts, 3, LABEL, width - 8, height - LABEL - 5)) {
    const part = place(document.createElement("span"), box);
    part.setAttribute("aria-hidden", "true");
    if (box.w > 2 * LABEL && box.h > LABEL) part.textContent = short(box.item.name);
    decorate(part, box.item.parts, box.w, box.h);
    element.append(part);
  }
}
// Return a tile for each part of a node; `zoom` opens a part.
function tiles(node, width, height, zoom) {
  return squarify(node.parts || [], 0, 0, width, height).map((box) => {
    const { item } = box;
    const label = item.name + " " + size(item.bytes);
    const tile = place(button(label, () => item.parts && zoom(item)), box);
    tile.title = label;
    tile.setAttribute("aria-label", label);
    if (label.length * LETTER > box.w) tile.textContent = box.w > LABEL ? short(item.name) : "";
    // A file can be focused, so that a screen reader reads it, but not opened.
    if (!item.parts) tile.setAttribute("aria-disabled", "true");
    tile.tabIndex = -1;
    decorate(tile, item.parts, box.w, box.h);
    return tile;
  });
}
for (const map of document.querySelectorAll(".map")) {
  const trail = map.previousElementSibling;
  const fold = map.closest("details");
  const path = [JSON.parse(document.getElementById(map.dataset.tree).textContent)];
  const draw = (focus) => {
    trail.replaceChildren(...path.map((node, depth) => button(node.name + " " + size(node.bytes), () => go(depth))));
    trail.lastChild.setAttribute("aria-current", "true");
    map.replaceChildren(...tiles(path[path.length - 1], map.clientWidth, map.clientHeight, (item) => {
      path.push(item);
      draw(true);
    }));
    if (map.firstChild) map.firstChild.tabIndex = 0; // Tab stops once in the map; arrow keys move within it
    if (focus) (map.firstChild || trail.lastChild).focus();
  };
  const go = (depth) => { path.length = depth + 1; draw(true); };
  fold.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && path.length > 1) go(path.length - 2);
  });
  map.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = [...map.children];
    const next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
    if (!step || !next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  const redraw = () => { if (fold.open) draw(false); };
  fold.addEventListener("toggle", redraw);
  addEventListener("resize", redraw);
  redraw();
}
