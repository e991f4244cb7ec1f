// The page: from a file or the microphone to tags on the screen.
import { startRecording, whyNot } from "/record.js";
import { clock, columnAt, columnEdges, drawAxis, drawTaggram, scaleEnd, under } from "/taggram.js";

const FEW = 10; // tags that are shown at first
const NOW = 3; // tags of a window that are named
const WARNINGS = {
  padded: "shorter than a window, it was padded with silence",
  silent: "it is silent, the tags mean nothing",
  cut_short: "the file is cut short, this is what is there",
  one_channel: "the channels cancel each other out, the loudest one was taken",
};
const $ = (id) => document.getElementById(id);
const player = $("player");

let about = { max_size: Infinity, max_seconds: Infinity };
let result = null; // what the server said, with edges of the columns
let all = false; // whether all tags are shown
let request = null; // the AbortController of the upload
let stop = null; // ends the recording

function setState(state, message = "", error = "") {
  document.body.dataset.state = state;
  $("message").textContent = message;
  $("error").textContent = error;
  $("result").hidden = state !== "done";
  $("choose").hidden = state === "recording";
  $("recording").hidden = state !== "recording";
  if (state !== "done") player.pause();
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
}

const megabytes = (bytes) => `${Number((bytes / 1e6).toPrecision(3))} MB`;

// From a file to tags

async function tag(file) {
  request?.abort();
  request = new AbortController();
  const { signal } = request;
  if (file.size > about.max_size) {
    setState("error", "", `${file.name} has ${megabytes(file.size)}, the limit is ${megabytes(about.max_size)}.`);
    return;
  }
  setState("working", `Listening to ${file.name} …`);
  let response, answer;
  try {
    response = await fetch("/tag", { method: "POST", body: file, signal });
    answer = await response.json();
  } catch {
    if (!signal.aborted) setState("error", "", "The server does not answer.");
    return;
  }
  if (signal.aborted) return;
  if (response.ok) show(file, answer);
  else setState("error", "", `${file.name}: ${answer.error}`);
}

function show(file, answer) {
  const { starts, window, duration } = answer;
  result = { ...answer, edges: columnEdges(starts, window, duration) };
  all = false;
  delete $("head").dataset.column;
  URL.revokeObjectURL(player.src);
  player.hidden = false;
  $("silent").hidden = true;
  player.src = URL.createObjectURL(file);
  $("name").textContent = file.name;
  const count = starts.length === 1 ? "one window" : `${starts.length} windows`;
  const notes = answer.warnings.map((word) => `; ${WARNINGS[word] ?? word}`).join("");
  $("facts").textContent =
    `${clock(duration)} min, heard in ${count} of ${Number(window.toPrecision(2))} s${notes}${decided(answer.chosen)}`;
  const best = answer.tags.slice(0, NOW).map((each) => each.tag);
  setState("done", `Tagged. The best: ${best.join(", ")}.`);
  draw();
  $("name").focus({ preventScroll: true });
}

// How many tags reach their thresholds, where the model has some
function decided(chosen) {
  if (!chosen) return "";
  if (!chosen.length) return "; no tag reaches its threshold";
  return `; ${chosen.length === 1 ? "one tag reaches its threshold" : `${chosen.length} tags reach their thresholds`} (✓)`;
}

// What is on the screen

const shown = () => (all ? result.tags : result.tags.slice(0, FEW));

function draw() {
  const tags = shown();
  $("tags").replaceChildren(...tags.map(tagLine));
  $("more").hidden = result.tags.length <= FEW;
  $("more").setAttribute("aria-expanded", all);
  $("more").textContent = all ? `Only the first ${FEW}` : `All ${result.tags.length} tags`;
  $("rows").replaceChildren(...tags.map(({ tag }) => element("div", tag, { title: tag })));
  $("canvas").setAttribute("aria-label", `Scores of ${tags.length} tags over time`);
  drawTable(tags, rows());
  drawPicture();
  follow();
}

const rows = () => result.taggram.slice(0, shown().length).map(({ scores }) => scores);

function drawPicture() {
  if (document.body.dataset.state !== "done") return;
  drawTaggram($("canvas"), rows(), result.edges);
  drawAxis($("axis"), result.duration);
  $("highest").textContent = scaleEnd(rows()).toFixed(1);
}

function tagLine({ tag, score }) {
  const line = element("li", undefined, { "data-tag": tag, "data-score": score });
  if (result.chosen?.includes(tag)) {
    line.classList.add("chosen");
    line.title = "Reaches the tag's threshold";
  }
  const bar = element("i");
  bar.style.setProperty("--share", `${100 * score}%`);
  line.append(element("span", tag), " ", element("b", score.toFixed(2)), bar);
  return line;
}

function drawTable(tags, scores) {
  const line = (cells) => {
    const made = element("tr");
    made.append(...cells);
    return made;
  };
  const times = result.starts.map((start) => element("th", clock(start), { scope: "col" }));
  const head = element("thead");
  head.append(line([element("td"), ...times]));
  const body = element("tbody");
  body.append(
    ...tags.map(({ tag }, row) =>
      line([
        element("th", tag, { scope: "row" }),
        ...scores[row].map((score) => element("td", score.toFixed(2))),
      ]),
    ),
  );
  $("table").replaceChildren(head, body);
}

// The play-head, and what the window under it is best at
function follow() {
  if (!result) return;
  const column = columnAt(result.edges, player.currentTime);
  const scores = result.taggram.map((row) => row.scores[column]);
  const best = scores.map((_, k) => k).sort((a, b) => scores[b] - scores[a]).slice(0, NOW);
  $("head").style.left = `${100 * Math.min(1, player.currentTime / result.duration)}%`;
  [...$("rows").children].forEach((row, k) => row.classList.toggle("now", best.includes(k)));
  if ($("head").dataset.column === String(column)) return;
  $("head").dataset.column = column;
  const named = best.flatMap((k) => {
    const made = element("span");
    made.append(element("b", result.tags[k].tag), ` ${scores[k].toFixed(2)}`);
    return [" ", made];
  });
  $("now").replaceChildren(element("span", span(column)), ...named);
}

function followSmoothly() {
  follow();
  if (!player.paused) requestAnimationFrame(followSmoothly);
}

function span(column) {
  const [from, to] = result.edges.slice(column, column + 2);
  return `${clock(Math.round(from))}–${clock(Math.round(to))}`;
}

function hover(event) {
  const at = under($("canvas"), event, shown().length, result.duration);
  $("tip").hidden = !at;
  if (!at) return;
  const column = columnAt(result.edges, at.seconds);
  const score = result.taggram[at.row].scores[column].toFixed(2);
  const tip = $("tip");
  tip.textContent = `${result.tags[at.row].tag} · ${span(column)} · ${score}`;
  const right = $("canvas").clientWidth - tip.offsetWidth;
  tip.style.left = `${Math.max(0, Math.min(right, at.x - tip.offsetWidth / 2))}px`;
  tip.style.top = `${at.y - tip.offsetHeight - 10}px`;
}

function seek(event) {
  const at = under($("canvas"), event, shown().length, result.duration);
  if (at) player.currentTime = at.seconds;
}

// The microphone

async function record() {
  request?.abort();
  $("record").disabled = true;
  try {
    stop = await startRecording((seconds, level, bytes) => {
      $("elapsed").textContent = clock(seconds);
      $("level").style.transform = `scaleX(${level})`;
      if (seconds >= about.max_seconds - 1 || bytes >= about.max_size - 10_000) finish();
    });
    request?.abort(); // of a file that was dropped while the browser asked for the microphone
    $("elapsed").textContent = "0:00";
    setState("recording");
    $("stop").focus();
  } catch (error) {
    setState("error", "", whyNot(error));
  }
  $("record").disabled = false;
}

function finish() {
  const file = stop?.();
  stop = null;
  if (file) tag(file);
  else if (file === null) setState("error", "", "Nothing was recorded.");
}

// Wiring

$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  $("file").value = ""; // so that the same file can be chosen again
  if (file) tag(file);
});
$("record").addEventListener("click", record);
$("stop").addEventListener("click", finish);
$("more").addEventListener("click", () => {
  all = !all;
  draw();
});
player.addEventListener("play", followSmoothly);
["seeking", "seeked"].forEach((name) => player.addEventListener(name, follow));
player.addEventListener("error", () => {
  player.hidden = true;
  $("silent").hidden = false;
});
$("field").addEventListener("pointermove", hover);
$("field").addEventListener("pointerleave", () => ($("tip").hidden = true));
$("field").addEventListener("click", seek);
["dragover", "dragleave", "drop"].forEach((name) =>
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", name === "dragover");
  }),
);
document.addEventListener("drop", (event) => {
  const [file, ...others] = event.dataTransfer.files;
  if (stop || !file) return;
  if (!others.length) tag(file);
  else setState("error", "", "One file at a time; serving.predict tags whole folders.");
});
new ResizeObserver(drawPicture).observe($("field"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawPicture);

about = await (await fetch("/about")).json();
const longest = about.max_seconds >= 120 ? `${Math.round(about.max_seconds / 60)} min` : `${about.max_seconds} s`;
$("limits").textContent += `: any format, up to ${longest} and ${megabytes(about.max_size)}`;
$("longest").textContent = `of ${longest}`;
$("about").textContent =
  `A model of ${about.tags} tags. What you drop or record goes to this server only and is forgotten once it is tagged.` +
  (about.licence ? ` Licence of the model: ${about.licence.trim().split("\n")[0].replace(/\.?$/, ".")}` : "");
if (!navigator.mediaDevices) {
  $("record").disabled = true;
  $("record").title = "Browsers record only for https addresses and for this machine (127.0.0.1)";
}
