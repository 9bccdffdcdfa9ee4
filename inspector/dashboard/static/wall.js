// The live wall: draws what the stream of events tells. Text goes in as text, never as markup.
"use strict";
const wall = document.getElementById("wall");
const words = JSON.parse(document.getElementById("words").textContent);
const patience = 5000 * Number(wall.dataset.period) / 2;
const svg = "http://www.w3.org/2000/svg";
const shown = new Map();
let heard = performance.now();

function put(tile, selector, text) { tile.querySelector(selector).textContent = text; }

function drawPicture(tile, data) {
  const figure = tile.querySelector("figure"), canvas = figure.querySelector("svg");
  figure.classList.toggle("bare", !data.picture);
  put(tile, "figcaption", data.picture_text);
  const key = JSON.stringify([data.picture, data.boxes]);
  if (!data.picture || canvas.dataset.key === key) return;
  canvas.dataset.key = key;
  const [width, height] = data.picture_px;
  canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const image = document.createElementNS(svg, "image");
  for (const [name, value] of [["href", data.picture], ["width", width], ["height", height]]) image.setAttribute(name, value);
  canvas.replaceChildren(image, ...data.boxes.map((box) => {
    const group = document.createElementNS(svg, "g"), rect = document.createElementNS(svg, "rect"), text = document.createElementNS(svg, "text");
    group.setAttribute("class", box.disposition);
    for (const name of ["x", "y", "width", "height"]) rect.setAttribute(name, box[name]);
    for (const [name, value] of [["x", box.x + width / 80], ["y", box.y + box.height - height / 60], ["font-size", width / 20]]) text.setAttribute(name, value);
    text.textContent = box.label;
    group.append(rect, text);
    return group;
  }));
}

function draw(data) {
  const tile = wall.querySelector(`[data-station="${CSS.escape(data.station)}"]`);
  if (!tile) return;
  const kind = data.disposition || "none";
  tile.className = `tile ${kind}${data.is_past ? " past" : ""}`;
  tile.dataset.seq = data.seq;
  tile.querySelector(".mark use").setAttribute("href", `#mark-${kind}`);
  put(tile, ".word", data.verdict_text);
  put(tile, ".state", data.state_text);
  tile.dataset.state = data.state;
  const faults = tile.querySelector(".faults");
  faults.hidden = !data.faults.length;
  faults.textContent = data.faults.join("\n");
  put(tile, ".label", data.label);
  put(tile, ".sure", data.confidence === null ? "" : data.confidence.toFixed(2));
  put(tile, ".reason", data.reason);
  put(tile, ".number", data.seq ? `#${data.seq}` : "");
  put(tile, ".part", data.part);
  const why = tile.querySelector("a.why");
  why.hidden = !data.inspection_id;
  if (data.inspection_id) why.href = `/-/why/${data.station}/${data.inspection_id}`;
  tile.querySelector(".counts").hidden = !data.seq;
  for (const count of tile.querySelectorAll("[data-count]")) count.textContent = (data.counts[count.dataset.count] || 0).toLocaleString();
  drawPicture(tile, data);
  shown.set(tile, { age: data.age_s, at: performance.now() });
}

function span(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) if (seconds >= 2 * size) return `${Math.round(seconds / size)} ${unit}`;
  return `${Math.max(0, seconds).toFixed(0)} s`;
}

function tick() {
  for (const [tile, { age, at }] of shown) put(tile, ".seconds", age === null ? "" : `${span(age + (performance.now() - at) / 1000)} ${words.ago}`);
  const old = performance.now() - heard > patience;
  document.getElementById("lost").hidden = !old;
  wall.classList.toggle("is-old", old);
}

const source = new EventSource(wall.dataset.stream);
source.onmessage = (event) => { heard = performance.now(); JSON.parse(event.data).forEach(draw); tick(); };
setInterval(tick, 500);
