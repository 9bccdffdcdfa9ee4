// Drawing the region of a defect on the picture: a drag makes a box, in pixels of the frame.
"use strict";
const canvas = document.getElementById("picture"), field = document.getElementById("box"), told = document.getElementById("drawn");
const accept = document.getElementById("accept");
let begin = null, group = null;

function show(x, y, width, height) {
  if (!group) {
    group = document.createElementNS("http://www.w3.org/2000/svg", "g");
    group.setAttribute("class", "drawn");
    group.append(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
    canvas.append(group);
  }
  for (const [name, value] of Object.entries({ x, y, width, height })) group.firstChild.setAttribute(name, value);
  field.value = [x, y, width, height].join(",");
  told.textContent = `${x}, ${y}, ${width} × ${height} px`;
}

function at(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(canvas.getScreenCTM().inverse());
  const { width, height } = canvas.viewBox.baseVal;
  return [Math.round(Math.min(Math.max(point.x, 0), width)), Math.round(Math.min(Math.max(point.y, 0), height))];
}

if (canvas && field) {
  canvas.classList.add("drawable");
  canvas.addEventListener("pointerdown", (event) => { begin = at(event); canvas.setPointerCapture(event.pointerId); event.preventDefault(); });
  canvas.addEventListener("pointermove", (event) => {
    if (!begin) return;
    const [x, y] = at(event);
    if (x !== begin[0] && y !== begin[1]) show(Math.min(x, begin[0]), Math.min(y, begin[1]), Math.abs(x - begin[0]), Math.abs(y - begin[1]));
  });
  canvas.addEventListener("pointerup", () => { begin = null; });
}
if (accept) accept.addEventListener("click", () => show(...accept.dataset.box.split(",").map(Number)));
