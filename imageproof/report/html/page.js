"use strict";
// Filter of the matrix: words of a check, and rows with a problem.
const matrix = document.querySelector(".matrix");
const form = document.querySelector(".filter");
function filter() {
  const words = form.querySelector("[type=search]").value.toLowerCase();
  const problems = form.querySelector("[type=checkbox]").checked;
  let shown = 0;
  for (const body of matrix.tBodies) {
    const rows = [...body.rows].slice(1);
    for (const row of rows) {
      const problem = row.querySelector(".fail, .unknown, .warning, .waived");
      row.hidden = !row.textContent.toLowerCase().includes(words) || (problems && !problem);
    }
    const left = rows.filter((row) => !row.hidden).length;
    body.hidden = !left;
    shown += left;
  }
  form.querySelector("output").textContent = shown + (shown === 1 ? " check" : " checks") + " shown";
  enter(matrix.querySelector("tr:not([hidden]) > td > a"));
}

// The matrix is one stop for Tab: arrow keys, Home and End move within it.
const cells = (row) => [...row.cells].map((cell) => cell.querySelector("a"));
function enter(link) {
  for (const other of matrix.querySelectorAll("a[tabindex='0']")) other.tabIndex = -1;
  if (link) link.tabIndex = 0;
}
function neighbour(link, key) {
  const row = link.closest("tr");
  const links = cells(row).filter(Boolean);
  const at = links.indexOf(link);
  if (key === "Home") return links[0];
  if (key === "End") return links[links.length - 1];
  if (key === "ArrowLeft") return links[at - 1];
  if (key === "ArrowRight") return links[at + 1];
  const column = link.closest("td").cellIndex;
  const rows = [...matrix.rows].filter((other) => !other.hidden && !other.parentElement.hidden);
  const step = key === "ArrowUp" ? -1 : 1;
  for (let next = rows.indexOf(row) + step; rows[next]; next += step) {
    const above = rows[next].cells[column] && cells(rows[next])[column];
    if (above) return above;
  }
}
if (matrix) {
  for (const link of matrix.querySelectorAll("a")) link.tabIndex = -1;
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  matrix.addEventListener("focusin", (event) => enter(event.target));
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
function button(text, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.addEventListener("click", onClick);
  return element;
}
const LABEL = 22; // pixels: height of a line of text
const LETTER = 7; // pixels: about the width of a letter
const short = (name) => name.replace(/^\/.*\//, "");
function place(element, at) {
  for (const [key, value] of [["left", at.x], ["top", at.y], ["width", at.w], ["height", at.h]])
    element.style[key] = value + "px";
  return element;
}
// Decoration: the parts within an element, drawn as deep as there is room.
function decorate(element, parts, width, height) {
  if (!parts || width < 3 * LABEL || height < 3 * LABEL) return;
  for (const at of squarify(parts, 3, LABEL, width - 8, height - LABEL - 5)) {
    const part = place(document.createElement("span"), at);
    part.setAttribute("aria-hidden", "true");
    if (at.w > 2 * LABEL && at.h > LABEL) part.textContent = short(at.item.name);
    decorate(part, at.item.parts, at.w, at.h);
    element.append(part);
  }
}
// A tile for each part of a node.
function tiles(node, width, height, zoom) {
  return squarify(node.parts || [], 0, 0, width, height).map((at) => {
    const label = at.item.name + " " + size(at.item.bytes);
    const tile = place(button(label, () => at.item.parts && zoom(at.item)), at);
    tile.title = label;
    tile.setAttribute("aria-label", label);
    if (label.length * LETTER > at.w) tile.textContent = at.w > LABEL ? short(at.item.name) : "";
    // A file can be focused, so that it is read out, but not opened.
    if (!at.item.parts) tile.setAttribute("aria-disabled", "true");
    tile.tabIndex = -1;
    decorate(tile, at.item.parts, at.w, at.h);
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
    if (map.firstChild) map.firstChild.tabIndex = 0; // one stop for Tab; arrow keys move on
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
