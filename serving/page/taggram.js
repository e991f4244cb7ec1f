// The picture of scores over time: rows of tags, columns of windows.

const ROW = 24; // CSS pixels, as #rows > div
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
const ROOM = 56; // CSS pixels that a label of the axis needs

export function clock(seconds) {
  const whole = Math.floor(seconds + 1e-3);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// Where the windows' columns begin and end, in s: a moment belongs to the window whose middle is
// nearest. The last window ends where the audio ends and overlaps the one before.
export function columnEdges(starts, window, duration) {
  const inner = starts.slice(1).map((start, k) => (start + starts[k] + window) / 2);
  return [0, ...inner, duration];
}

export function columnAt(edges, seconds) {
  const column = edges.findIndex((edge, k) => k > 0 && seconds < edge) - 1;
  return column < 0 ? edges.length - 2 : column;
}

// The end of the colour scale: the first tenth that no score exceeds.
export function scaleEnd(rows) {
  return Math.min(1, Math.max(0.1, Math.ceil(10 * Math.max(...rows.flat()) - 1e-9) / 10));
}

function hex(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.trim().slice(at, at + 2), 16));
}

// Colour of a share 0 to 1 between three colours of the style sheet.
function heat(stops, share) {
  const at = Math.min(share, 1) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  const mixed = stops[low].map((x, i) => Math.round(x + (stops[low + 1][i] - x) * (at - low)));
  return `rgb(${mixed.join()})`;
}

// Draws rows (a list of scores a tag) on the canvas, with a pixel of paper between rows.
export function drawTaggram(canvas, rows, edges) {
  const style = getComputedStyle(canvas);
  const stops = ["--heat-0", "--heat-1", "--heat-2"].map((name) =>
    hex(style.getPropertyValue(name)),
  );
  const ratio = window.devicePixelRatio || 1;
  canvas.style.height = `${ROW * rows.length}px`;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(ROW * rows.length * ratio);
  canvas.dataset.rows = rows.length;
  canvas.dataset.columns = edges.length - 1;
  const pixels = edges.map((edge) => Math.round((canvas.width * edge) / edges.at(-1)));
  const end = scaleEnd(rows);
  const context = canvas.getContext("2d");
  rows.forEach((scores, row) => {
    const top = Math.round(row * ROW * ratio);
    const bottom = Math.round((row + 1) * ROW * ratio) - Math.ceil(ratio);
    scores.forEach((score, k) => {
      context.fillStyle = heat(stops, score / end);
      context.fillRect(pixels[k], top, pixels[k + 1] - pixels[k], bottom - top);
    });
  });
}

// Row and moment under a mouse, or null beside the picture.
export function under(canvas, event, rows, duration) {
  const box = canvas.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width;
  const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
  if (x < 0 || x > 1 || row < 0 || row >= rows) return null;
  return { row, seconds: x * duration, x: event.clientX - box.left, y: event.clientY - box.top };
}

export function drawAxis(axis, duration) {
  const most = Math.max(1, Math.floor(axis.clientWidth / ROOM));
  const step = STEPS.find((each) => duration / each <= most) ?? 3600;
  const labels = [];
  for (let time = 0; time <= duration; time += step) {
    const label = document.createElement("span");
    label.textContent = clock(time);
    label.style.left = `${(100 * time) / duration}%`;
    if (time && time > duration * (1 - 16 / axis.clientWidth)) label.style.left = "calc(100% - 1rem)";
    labels.push(label);
  }
  axis.replaceChildren(...labels);
}
