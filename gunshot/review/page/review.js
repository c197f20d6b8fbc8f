// The review page: one sound at a time, decided by a key; everything it shows it asks this server for.
import { VirtualList, clock } from "./list.js";

const CONTEXTS_S = [0.5, 1, 2, 5, 15, 60], AHEAD = 4;
const $ = (id) => document.getElementById(id);
$("picture").prepend(Object.assign(new Image(), { id: "image", alt: "" })); // without an address it has no place in the page's text
const state = { start: null, place: -1, item: null, context: 2, loud: false, busy: false, shown: 0 };

async function ask(path, parameters, body) {
  const query = new URLSearchParams(parameters).toString();
  const options = body === undefined ? {} : {
    method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-Gunshot": "1" },
  };
  const answer = await fetch(query ? `${path}?${query}` : path, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error || `the server answered ${answer.status}`);
  return content;
}

function view() {
  const found = { order: $("order").value };
  for (const name of ["site", "night"]) if ($(name).selectedIndex > 0) found[name] = $(name).value;
  return found;
}

function busy(is) { // told to whoever reads the page with a program too
  state.busy = is;
  document.body.dataset.busy = is ? "1" : "0";
}

function say(text) { $("said").textContent = text; }

const address = (what, number) =>
  `/${what}/${number}?context_s=${CONTEXTS_S[state.context]}&v=${state.start.version}` +
  (what === "sound" && state.loud ? "&loud=1" : "");

const list = new VirtualList(
  $("list"), $("space"),
  async (offset, limit) => (await ask("/api/queue", { ...view(), offset, limit })).rows,
  (place) => go(place),
);

// ---- one item ----

async function go(place) {
  if (place < 0 || place >= list.total) return;
  const turn = (state.shown += 1);
  list.show(place);
  state.place = place;
  const row = await list.at(place);
  if (row && turn === state.shown) await show(row.number, turn);
}

async function show(number, turn = (state.shown += 1)) {
  stop();
  const item = await ask("/api/item", { number });
  if (turn !== state.shown) return;
  state.item = item;
  $("name").textContent = item.path;
  const facts = [
    `at ${clock(item.start_s)}`, item.start_utc && `${item.start_utc.replace("T", " ").slice(0, 19)} UTC`, item.site,
    `score ${item.score.toFixed(3)}`, item.probability !== null && `probability ${item.probability.toFixed(2)}`,
    item.n_shots > 1 && `${item.n_shots} shots`, item.channel !== null && `channel ${item.channel + 1}`,
    item.drawn === "sample" && "from below the threshold",
  ];
  $("facts").textContent = facts.filter(Boolean).join(" · ");
  $("before").disabled = item.before === null;
  $("after").disabled = item.after === null;
  draw();
  decided();
  ahead();
}

function decided() {
  const item = state.item;
  for (const label of ["gunshot", "not", "unsure"]) $(label).setAttribute("aria-pressed", String(item.label === label));
  $("class").value = item.class;
  if ($("class").value !== item.class) { $("class").append(new Option(item.class)); $("class").value = item.class; }
  $("note").value = item.note;
  $("others").textContent = item.others.map(
    (other) => `${other.who}: ${other.label}${other.class ? ` (${other.class})` : ""}`).join(" · ");
}

function draw() {
  const item = state.item, image = $("image"), context = CONTEXTS_S[state.context];
  const from = Math.max(0, item.start_s - context), to = Math.min(item.end_s + context, item.duration_s ?? Infinity);
  $("trouble").hidden = true;
  image.alt = `Spectrogram and waveform of ${item.path} around ${clock(item.start_s)}`;
  image.src = address("picture", item.number);
  const place = (at) => `${(100 * (at - from)) / (to - from)}%`;
  $("span").style.left = place(item.start_s);
  $("span").style.right = `${100 - (100 * (item.end_s - from)) / (to - from)}%`;
  $("from").textContent = clock(from);
  $("to").textContent = clock(to);
  $("band").textContent = item.sr ? `50 Hz to ${Math.min(Math.max(item.sr, 8000), 48000) / 2000} kHz, mel scale` : "";
  $("less").disabled = state.context === 0;
  $("more").disabled = state.context === CONTEXTS_S.length - 1;
  state.from = from;
  state.to = to;
}

$("image").addEventListener("error", async () => {
  const source = $("image").getAttribute("src");
  if (!source) return;
  let why = "no picture";
  try { why = (await (await fetch(source)).json()).error || why; } catch { why = "the server does not answer"; }
  if (source === $("image").getAttribute("src")) { $("trouble").textContent = why; $("trouble").hidden = false; }
});

async function ahead() { // pictures of the next items are made while this one is looked at
  const turn = state.shown;
  for (let place = state.place + 1; place <= Math.min(state.place + AHEAD, list.total - 1); place += 1) {
    const row = await list.at(place);
    if (turn !== state.shown || !row) return;
    const image = new Image();
    image.src = address("picture", row.number);
    try { await image.decode(); } catch { /* shown when it is reached */ }
  }
}

// ---- sound ----

const audio = $("audio");

function stop() {
  audio.pause();
  audio.removeAttribute("src");
  $("cursor").hidden = true;
  $("play").firstChild.textContent = "▶ Play ";
}

async function play() {
  if (!state.item) return;
  if (!audio.paused) { stop(); return; }
  audio.src = address("sound", state.item.number);
  $("play").firstChild.textContent = "■ Stop ";
  try { await audio.play(); } catch (error) {
    if (error.name !== "AbortError") { say(`no sound: ${error.message}`); stop(); }
    return;
  }
  follow();
}

function follow() {
  if (audio.paused) { stop(); return; }
  $("cursor").hidden = false;
  $("cursor").style.left = `${(100 * audio.currentTime) / (audio.duration || state.to - state.from)}%`;
  requestAnimationFrame(follow);
}

audio.addEventListener("ended", stop);

// ---- decisions ----

async function decide(label) {
  if (state.busy || !state.item) return;
  busy(true);
  const item = state.item;
  try {
    const done = await ask("/api/decide", {}, {
      ...view(), version: state.start.version, number: item.number, label, class: $("class").value,
      note: $("note").value, after: state.place,
    });
    list.mark(item.number, label);
    progress(done.progress);
    say(`${item.path} at ${clock(item.start_s)}: ${label}`);
    if (done.place === null) { say("All of this list are decided."); await show(item.number); } else await go(done.place);
  } catch (error) { say(`NOT saved: ${error.message}`); } finally { busy(false); }
}

async function undo() {
  if (state.busy) return;
  busy(true);
  try {
    const done = await ask("/api/undo", {}, { ...view(), after: state.place });
    if (done.number === null) { say("Nothing to undo."); return; }
    progress(done.progress);
    await show(done.number);
    list.mark(done.number, state.item.label);
    const place = await find(done.number);
    if (place >= 0) { state.place = place; list.show(place); }
    say(`Taken back: ${state.item.path} at ${clock(state.item.start_s)}`);
  } catch (error) { say(`NOT taken back: ${error.message}`); } finally { busy(false); }
}

async function find(number) { // among the rows that are here: a decision just made is near
  for (const rows of list.pages.values()) {
    const known = await rows, index = known.findIndex((row) => row.number === number);
    if (index >= 0) for (const [page, same] of list.pages) if ((await same) === known) return page * 100 + index;
  }
  return -1;
}

function progress(content) {
  const share = content.total ? (100 * content.done) / content.total : 100;
  $("bar").setAttribute("aria-valuenow", String(Math.round(share)));
  $("fill").style.width = `${share}%`;
  const counts = content.labels, parts = [
    `${content.done.toLocaleString("en")} of ${content.total.toLocaleString("en")} decided`,
    `${counts.gunshot} gunshot, ${counts.not} not, ${counts.unsure} unsure`,
  ];
  if (content.left_s !== null && content.done < content.total) parts.push(`about ${duration(content.left_s)} left`);
  if (content.shared) parts.push(`agreement on ${content.agreed} of ${content.shared} that several people decided`);
  $("progress").textContent = parts.join(" · ");
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

// ---- the whole page ----

async function refilter() {
  const turn = (state.shown += 1);
  const [content, next, all] = await Promise.all([
    ask("/api/queue", { ...view(), limit: 1 }), ask("/api/next", { ...view(), after: -1 }),
    ask("/api/progress", view()),
  ]);
  if (turn !== state.shown) return;
  list.reset(content.total);
  progress(all);
  if (content.total) await go(next.place ?? 0);
  else {
    stop();
    $("name").textContent = $("order").value === "sample" ? "No sample here: score with --sample 0.01" : "Nothing to review here";
    $("facts").textContent = "";
    $("image").removeAttribute("src");
  }
}

function classes(names) {
  $("class").replaceChildren(new Option("—", ""), ...names.map((name) => new Option(name)));
  $("classes").value = names.join("\n");
}

async function open() {
  const { place } = await ask("/api/next", { ...view(), after: state.place });
  if (place === null) say("All of this list are decided."); else await go(place);
}

function zoom(step) {
  const context = Math.min(CONTEXTS_S.length - 1, Math.max(0, state.context + step));
  if (context === state.context || !state.item) return;
  state.context = context;
  stop();
  draw();
  ahead();
}

function loud() {
  state.loud = !state.loud;
  $("loud").setAttribute("aria-pressed", String(state.loud));
  if (!audio.paused) { stop(); play(); }
}

async function neighbour(which) {
  const number = state.item && state.item[which];
  if (number === null || number === undefined) return;
  await show(number);
  const place = await find(number);
  if (place >= 0) { state.place = place; list.show(place); }
}

const actions = {
  play, loud, undo, open, less: () => zoom(-1), more: () => zoom(1), before: () => neighbour("before"),
  after: () => neighbour("after"), gunshot: () => decide("gunshot"), not: () => decide("not"),
  unsure: () => decide("unsure"), previous: () => go(state.place - 1), next: () => go(state.place + 1),
  help: () => $("keys").showModal(), close: () => $("keys").close(),
  save: async () => { classes((await ask("/api/classes", {}, { classes: $("classes").value.split("\n") })).classes); $("keys").close(); },
  class: () => $("class").focus(), note: () => $("note").focus(),
};
const KEYS = {
  " ": "play", l: "loud", z: "undo", o: "open", "+": "less", "=": "less", "-": "more", "[": "before", "]": "after",
  1: "gunshot", g: "gunshot", 2: "not", n: "not", 3: "unsure", u: "unsure", k: "previous", j: "next",
  ArrowLeft: "previous", ArrowRight: "next", "?": "help", c: "class", m: "note",
};

function run(name) {
  Promise.resolve(actions[name]()).catch((error) => say(error.message));
}

for (const button of document.querySelectorAll("button")) button.addEventListener("click", (event) => {
  if (event.detail) button.blur(); // clicked, not pressed: the next space plays, and does not decide once more
  run(button.id);
});
$("picture").addEventListener("click", () => run("play"));
for (const id of ["order", "site", "night"]) $(id).addEventListener("change", () => refilter().catch((error) => say(error.message)));
for (const id of ["class", "note"]) $(id).addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === "Escape") { event.target.blur(); event.preventDefault(); }
});
$("list").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
  if (step) { go(Math.min(list.total - 1, Math.max(0, state.place + step))); event.preventDefault(); }
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.target.tagName === "BUTTON" && key === " ") return; // a button that has the focus is pressed by it
  if (KEYS[key] && !event.repeat) { event.preventDefault(); run(KEYS[key]); }
});

function choices(select, values, all) {
  const named = values.map((value) => new Option(value || "not known", value));
  select.replaceChildren(new Option(all, ""), ...named);
}

async function begin() {
  const start = (state.start = await ask("/api/start"));
  document.title = `Review by ${start.who}`;
  $("about").textContent = `${start.who} · ${start.model} ${start.model_digest} from ${start.threshold} on · ${start.results}`;
  $("order").value = start.order;
  for (const option of $("order").options) {
    option.textContent += ` (${start.orders[option.value].toLocaleString("en")})`;
    option.disabled = !start.orders[option.value] && option.value !== start.order;
  }
  choices($("site"), start.sites, "all");
  choices($("night"), start.nights, "all");
  classes(start.classes);
  await refilter();
}

begin().catch((error) => say(error.message));
