"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// make returns an element with a class and with children, which may be strings.
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

// label returns an element with a text of texts.js, in whatever language is chosen.
function label(tag, className, key) {
  const element = make(tag, className, t(key));
  element.dataset.t = key;
  return element;
}

// ---- Language

let language = localStorage.getItem("language") || (navigator.language.startsWith("zh") ? "zh" : "en");

// own returns the value of a key in an object of this page. The key may come from
// outside and be anything, such as "constructor".
const own = (object, key) => Object.hasOwn(object, key) ? object[key] : undefined;

// t returns a text of texts.js, with values in the place of {name}. A key that has
// none is returned as it is.
function t(key, values = {}) {
  const text = own(texts, key);
  if (!text) return key;
  return text[language === "zh" ? 1 : 0].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// detail returns what the library says of a release, in the language that is chosen.
function detail(text) {
  const known = language === "zh" && details.find(([pattern]) => pattern.test(text));
  return known ? text.replace(...known) : text;
}

function translate(root) {
  for (const e of $$("[data-t]", root)) e.textContent = t(e.dataset.t);
  for (const e of $$("[data-label]", root)) e.setAttribute("aria-label", t(e.dataset.label));
  for (const e of $$("[data-hint]", root)) e.placeholder = t(e.dataset.hint);
}

function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  for (const b of $$("[data-lang]")) b.setAttribute("aria-pressed", b.dataset.lang === language);
  translate(document);
  for (const phone of phones) phone.render();
  for (const show of [showUpdate, showCatalog, showMobile]) show();
}

// ---- Phones

let ids = {}; // public ids by name
const phones = [];
const lines = []; // of all conversations, as they came
const users = { alice: "Alice", bob: "Bob", mallory: "Mallory" };
const nameOf = (name) => own(users, name) || (name === "team" ? "Team" : name);

// What a screen-capture notice says, by the operation in its content.
const notices = { openScreenNtf: "open", closeScreenNtf: "close", sendScreenNtf: "shotBy" };
const operation = (line) => line.objectName === "ST:ConNtf" ? contentOf(line).operation : "";

// contentOf returns the strings in the content of a message, which may be anything.
function contentOf(line) {
  try {
    return Object.fromEntries(Object.entries(JSON.parse(line.content)).filter(([, value]) => typeof value === "string"));
  } catch {
    return {};
  }
}

// between names the private conversation of two users.
const between = (a, b) => [a, b].sort().join("+");

// A line is a message that the cloud delivered, or what one phone alone shows:
// {conversation, from, users, objectName, content} or {conversation, phone, text()}.
function addLine(line) {
  lines.push(line);
  if (lines.length > 500) lines.shift();
  for (const phone of phones) phone.hear(line);
}

class Phone {
  constructor(user) {
    this.user = user;
    this.group = false; // which conversation is open
    this.unread = new Set(); // of conversations
    this.set = 0;
    this.root = $("#phone").content.cloneNode(true).firstElementChild;
    $(".pair").append(this.root);
    this.switch = $("[role=switch]", this.root);
    this.chat = $(".chat", this.root);
    this.input = $("form input", this.root);
    $("select", this.root).onchange = (e) => this.become(e.target.value);
    this.input.onfocus = this.input.onclick = () => { if (this.input.value === this.suggested) this.input.select(); };
    $("form", this.root).onsubmit = (e) => { e.preventDefault(); this.send(); };
    $(".shot", this.root).onclick = () => this.shoot();
    this.switch.onclick = () => this.post("set_screen_capture", { noticeStatus: this.isOn() ? 0 : 1 });
  }

  // The friend of Alice is Bob, and his is Alice; Mallory tries whoever has the other phone.
  partner() {
    if (this.user === "mallory") return phones.find((p) => p !== this).user;
    return this.user === "alice" ? "bob" : "alice";
  }
  conversation(group = this.group) { return group ? "team" : between(this.user, this.partner()); }
  target() { return this.group ? "team" : this.partner(); }
  isOn() { return this.switch.getAttribute("aria-checked") === "true"; }

  become(user) {
    this.user = user;
    this.unread.clear();
    for (const phone of phones) phone.render();
    this.refresh();
  }

  open(group) {
    this.group = group;
    this.render();
    this.refresh();
  }

  // refresh asks for the switch, as clients do when a chat is opened. A notice
  // that comes meanwhile is newer than the answer.
  async refresh() {
    this.setSwitch(false);
    const set = this.set;
    const answer = await this.post("get_screen_capture");
    if (set === this.set) this.setSwitch(answer?.result.status === 1);
  }

  setSwitch(on) {
    this.switch.setAttribute("aria-checked", on);
    this.set++; // how often
  }

  send() {
    this.post("send_message", { conversationType: this.group ? "GROUP" : "PRIVATE", objectName: "RC:TxtMsg", content: this.input.value });
    this.input.value = "";
  }

  // shoot does what clients do: while the notice is off, they tell nobody.
  shoot() {
    this.root.classList.remove("flash");
    void this.root.offsetWidth; // lets the animation start again
    this.root.classList.add("flash");
    if (this.isOn() || this.user === "mallory") this.post("send_sc_msg");
    else addLine({ conversation: this.conversation(), phone: this, text: () => t("quietShot") });
  }

  async post(endpoint, fields = {}) {
    const conversation = this.conversation();
    const body = { conversationType: this.group ? 3 : 1, targetId: ids[this.target()], ...fields };
    const headers = { "Content-Type": "application/json", "X-User": this.user };
    try {
      const response = await fetch("/misc/" + endpoint, { method: "POST", headers, body: JSON.stringify(body) });
      const answer = await response.json();
      if (response.ok) return answer;
      if (endpoint === "get_screen_capture") return; // the switch stays off
      addLine({ conversation, phone: this, refused: true, text: () => t(endpoint, { status: response.status, why: t(answer.message) }) });
    } catch {
      addLine({ conversation, phone: this, refused: true, text: () => t("unreachable") });
    }
  }

  // hear takes a line, if it is for this phone.
  hear(line) {
    if (!this.isFor(line)) return;
    if (line.conversation === this.conversation()) {
      if (operation(line) === "openScreenNtf") this.setSwitch(true);
      if (operation(line) === "closeScreenNtf") this.setSwitch(false);
      return this.show(line);
    }
    this.unread.add(line.conversation);
    this.renderTabs();
  }

  isFor(line) { return line.phone ? line.phone === this : [...line.users, line.from].includes(this.user); }

  show(line) {
    $(".empty", this.chat)?.remove();
    this.chat.append(this.element(line));
    this.chat.scrollTop = this.chat.scrollHeight;
    this.suggest();
  }

  // suggest fills in what the next message could be, unless the user is writing one.
  suggest() {
    if (this.input.value && this.input.value !== this.suggested) return;
    const talk = t("smallTalk").split("|");
    this.input.value = this.suggested = talk[$$(".bubble", this.chat).length % talk.length];
    if (document.activeElement === this.input) this.input.select();
  }

  element(line) {
    if (line.phone) return make("p", line.refused ? "told refused" : "told", line.text());
    const mine = line.from === this.user;
    const notice = own(notices, operation(line));
    if (notice) return make("p", "told", t(mine ? notice + "Mine" : notice, { name: nameOf(line.from) }));
    const { title, content } = contentOf(line);
    return make("p", mine ? "bubble mine" : "bubble", make("b", "", nameOf(line.from)), title || content || line.content);
  }

  renderTabs() {
    const tab = (group) => {
      const button = make("button", "", nameOf(group ? "team" : this.partner()));
      button.setAttribute("aria-pressed", group === this.group);
      if (this.unread.has(this.conversation(group))) button.append(make("span", "unread", make("span", "hidden", t("unread"))));
      button.onclick = () => { this.open(group); $$(".tabs button", this.root)[group ? 1 : 0].focus(); };
      return button;
    };
    $(".tabs", this.root).replaceChildren(tab(false), tab(true));
  }

  render() {
    translate(this.root);
    this.root.setAttribute("aria-label", t("phoneOf", { name: nameOf(this.user) }));
    $("select", this.root).replaceChildren(...Object.keys(users).map((user) => {
      const option = new Option(users[user], user, false, user === this.user);
      option.disabled = phones.some((p) => p !== this && p.user === user);
      return option;
    }));
    this.chat.replaceChildren(label("p", "empty", "empty"));
    this.suggest();
    this.unread.delete(this.conversation());
    lines.filter((line) => line.conversation === this.conversation() && this.isFor(line)).forEach((line) => this.show(line));
    this.renderTabs();
  }
}

// ---- Inspector

let byHand = false; // the user has opened or closed an exchange, or its headers

// halves returns the first line of a message, and its body.
const halves = (message) => [message.split("\r\n", 1)[0], message.slice(message.indexOf("\r\n\r\n") + 4)];

function showExchange(e) {
  const summary = make("summary", "", make("span", "method", e.method), make("span", "endpoint", e.path),
    make("span", e.status < 300 ? "status good" : "status bad", String(e.status)),
    e.user ? make("span", "who", nameOf(e.user)) : label("span", "who", "nobody"));
  const part = (key, message) => [label("h3", "", key), make("pre", "", halves(message).join("\n\n").trim())];
  const headers = make("details", "headers", label("summary", "", "headers"), label("p", "lead", "login"));
  const item = make("details", "", summary, ...part("request", e.request), ...part("answer", e.answer));
  headers.append(make("pre", "", e.request), make("pre", "", e.answer));
  for (const sent of e.cloud) {
    summary.append(label("span", "cloud", "cloudCalled"));
    const [line, form] = halves(sent.request);
    const fields = make("dl", "", ...[...new URLSearchParams(form)].flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
    const verdict = sent.verified ? "verified" : "unverified";
    item.append(label("h3", "", "cloud"), label("p", verdict, verdict), make("pre", "", line), fields, ...part("cloudAnswer", sent.answer));
    headers.append(make("pre", "", sent.request), make("pre", "", sent.answer));
  }
  item.append(headers);
  item.name = "exchange"; // one is open at a time
  item.onclick = () => { byHand = true; };
  const list = $(".exchanges");
  list.prepend(make("li", "", item));
  if (!byHand) item.open = true; // and the one before closes
  if (list.children.length > 40) list.lastChild.remove();
}

// ---- Update card

let answered; // {status, statusText, body, releases}; without a status, the server does not answer
const form = $("#update form");
const examples = {
  exMac: ["2.0.0", "darwin", "arm64", "14.5", "", "mac-6"],
  exOther: ["2.0.0", "darwin", "arm64", "14.5", "", "mac-3"],
  exBadRelease: ["2.1.0", "darwin", "arm64", "14.5", "", "mac-3"],
  exStep: ["1.0.0", "win32", "x64", "10.0.19045", "", "pc-1"],
  exForced: ["0.9.0", "win32", "x64", "10.0.19045", "", "pc-2"],
  exOld: ["1.0.2", "darwin", "x64", "10.15.7", "", "mac-1"],
  exBeta: ["2.1.0", "darwin", "arm64", "15.1", "beta", "mac-2"],
  exBad: ["two", "linux", "x64", "", "", ""],
};

function addExample([key, values]) {
  const button = label("button", "", key);
  button.onclick = () => {
    values.forEach((value, i) => { form.elements[i].value = value; });
    ask();
  };
  $(".examples").append(button);
}

// showExample marks the example that is in the fields.
function showExample() {
  Object.values(examples).forEach((values, n) => $(".examples").children[n].setAttribute("aria-pressed", values.every((value, i) => form.elements[i].value === value)));
}

async function ask() {
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  showExample();
  try {
    const response = await fetch("/misc/latest_update?" + query);
    const text = await response.text();
    const { releases } = await (await fetch("/demo/explain?" + query)).json();
    answered = { status: response.status, statusText: response.statusText, body: text && JSON.parse(text), releases };
  } catch {
    answered = { releases: [] };
  }
  showUpdate();
}

function showUpdate() {
  if (!answered) return;
  const { status, statusText, body, releases } = answered;
  let words = t("offersNothing");
  if (status === 200) words = t("offers", { version: body.version }) + (body.mandatory ? ` · ${t("mandatory")}` : "");
  if (status >= 400) words = t(body.message);
  if (!status) words = t("unreachable");
  const badge = status && make("span", status < 300 ? "status good" : "status bad", `${status} ${statusText}`);
  $(".result").replaceChildren(make("p", "", badge || "", make("strong", "", words)), body ? make("pre", "", JSON.stringify(body, null, 2)) : "");
  $("#update table").hidden = !releases.length;
  $("#update tbody").replaceChildren(...releases.map((v) => {
    const head = make("th", "", swatch(v.version), v.version);
    head.scope = "row";
    return make("tr", v.reason === "update" ? "offered" : "", head, make("td", "", make("code", "", v.reason)), make("td", "", detail(v.detail)));
  }));
}

// ---- Rollout

let catalog; // the state in page.go
let based; // the file's text that the editor was filled with
let refusal; // why that text of the editor was not saved: {box, key, problem}
const colours = new Map(); // by version, as they are first seen
const editor = $("textarea");
const slider = $("#percent");
let moving = false; // until the slider's last value is saved
let showPercent = () => {}; // of the slider, while it moves
const saveEvery = 300; // milliseconds
const rolloutInFile = /("rollout"\s*:\s*)[-+.\deE]+/g;
const hasRollout = (release) => typeof release.rollout === "number";

function colour(version) {
  if (["current", "held", "stuck"].includes(version)) return version;
  if (!colours.has(version)) colours.set(version, "c" + colours.size % 6);
  return colours.get(version);
}
const swatch = (version) => make("span", "swatch " + colour(version));

function hearCatalog(state) {
  if (catalog && catalog.path !== state.path) return location.reload(); // another server
  state.text = state.text.replaceAll("\r\n", "\n"); // as the editor has it
  catalog = state;
  if (based === undefined || editor.value === based || editor.value === state.text) fillEditor(); // keeps what is being edited
  showCatalog();
  if (answered) ask();
}

function fillEditor() {
  editor.value = based = catalog.text;
  showProblem();
}

function showProblem() {
  if (refusal?.box !== editor.value) refusal = undefined;
  const stale = catalog.missing ? t("missing") : catalog.problem && `${t("stale")} ${catalog.problem}`;
  $(".problem").textContent = [refusal && `${t(refusal.key)} ${refusal.problem}`, stale].filter(Boolean).join("\n");
}

const releasesInUse = () => JSON.parse(catalog.good.trim()).releases; // of a byte order mark, too
const rolling = (releases) => releases.find((r) => hasRollout(r) && !r.withdrawn);

function showCatalog() {
  if (!catalog) return;
  const releases = releasesInUse();
  releases.forEach((r) => colour(r.version));
  const moved = rolling(releases);
  slider.disabled = !moved || !!catalog.problem;
  if (moved && !moving && !slider.matches(":active")) slider.value = moved.rollout;
  showPercent = () => {
    const words = moved ? t("percent", { version: moved.version, percent: slider.value }) : t("noPercent");
    $(".slider label").textContent = words + (catalog.problem && t("lastGood"));
  };
  showPercent();
  $(".groups").replaceChildren(...catalog.groups.map((group) => groupElement(group, releases.find((r) => r.version === group.version)?.withdrawn)));
  const all = catalog.groups.flatMap((group) => group.installations);
  const offered = (version) => all.filter((n) => n.offered === version).length;
  $(".share").textContent = moved ? t("share", { version: moved.version, n: offered(moved.version), all: catalog.possible[moved.version] || 0 }) : "";
  $$(".steps button").forEach((b, i) => (i === catalog.chapter ? b.setAttribute("aria-current", "step") : b.removeAttribute("aria-current")));
  const bad = catalog.groups.find((group) => group.version === "2.1.0")?.installations || [];
  const fixed = bad.filter((n) => n.offered === "2.1.1").length;
  const runFix = catalog.groups.find((group) => group.version === "2.1.1")?.installations.length;
  $(".caption").textContent = catalog.chapter < 0 ? t("ownFile")
    : t("chapter" + catalog.chapter, { offered: offered("2.1.0"), bad: bad.length, fixed, rest: catalog.possible["2.1.1"] - bad.length, others: offered("2.1.1") - fixed, all: offered("2.1.1"), runFix });
  $(".path code").textContent = catalog.path;
  showProblem();
}

// kind returns what an installation is coloured by: the release that it is offered or,
// if there is none, whether it is up to date, waits, or is stuck with a bad release.
function kind(n, withdrawn) {
  if (n.offered) return n.offered;
  if (withdrawn) return "stuck";
  return n.reason === "current" ? "current" : "held";
}

// groupElement shows the installations that run one version.
function groupElement({ version, installations }, withdrawn) {
  const counts = new Map(); // by kind and reason
  const strip = make("div", "strip", ...installations.map((n) => {
    const what = kind(n, withdrawn);
    const square = make("span", colour(what));
    square.title = `${n.about}: ${n.version} → ${t(what)} (${n.reason})`;
    const key = what + " " + n.reason;
    counts.set(key, (counts.get(key) || 0) + 1);
    return square;
  }));
  const order = [...colours.keys(), "current", "held", "stuck"];
  const parts = [...counts].map(([key, count]) => [...key.split(" "), count]).sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0]) || b[2] - a[2]);
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", t("stripLabel", { version, counts: parts.map(([what, reason, count]) => `${t(what)} (${reason}) ${count}`).join(t("comma")) }));
  const head = make("h3", "", t("runs", { version }), make("b", "", String(installations.length)));
  if (withdrawn) head.append(" ", make("span", "status bad", t("withdrawn", { why: withdrawn })));
  return make("div", withdrawn ? "group withdrawn" : "group", head, strip,
    make("ul", "legend", ...parts.map(([what, reason, count]) => make("li", "", swatch(what), make("b", "", String(count)), ` ${t(what)} `, make("code", "", reason)))));
}

// turnTo publishes a file of the story. It is served within a second.
async function turnTo(chapter, button) {
  button.setAttribute("aria-busy", true);
  const problem = await fetch("/demo/chapters/" + chapter, { method: "PUT" }).then((r) => r.text(), () => t("unreachable"));
  button.removeAttribute("aria-busy");
  refusal = problem ? { box: editor.value, key: "notSaved", problem } : undefined;
  showProblem();
}

async function save(text) {
  const box = editor.value;
  const problem = await fetch("/demo/releases", { method: "PUT", body: text }).then((r) => r.text(), () => t("unreachable"));
  refusal = problem ? { box, key: "notSaved", problem } : undefined;
  if (!problem && text === box) based = text;
  showProblem();
}

// saveEditor saves over a change of the file only when it is asked again.
function saveEditor() {
  if (catalog.text === based) return save(editor.value);
  based = catalog.text;
  refusal = { box: editor.value, key: "changedOnDisk", problem: "" };
  showProblem();
}

// move saves the slider's value, and while it moves again and again.
async function move() {
  slider.value = Math.round(slider.value); // the file may have 12.5
  showPercent();
  if (moving) return;
  moving = true;
  for (let saved; saved !== slider.value;) {
    await new Promise((done) => setTimeout(done, saveEvery));
    saved = slider.value;
    const releases = releasesInUse();
    let before = releases.filter(hasRollout).indexOf(rolling(releases)); // rollouts
    await save(catalog.text.replace(rolloutInFile, (text, key) => (before-- ? text : key + saved)));
  }
  moving = false;
}

// ---- Mobile versions and the square

let mobile; // {versions, square}, or null if the server does not answer

async function readMobile() {
  try {
    const versions = await (await fetch("/misc/client_version")).json();
    await fetch("/misc/mobile_version");
    mobile = { versions, square: (await (await fetch("/misc/demo_square")).json()).result };
  } catch {
    mobile = null;
  }
  showMobile();
}

function showMobile() {
  if (mobile === undefined) return;
  if (!mobile) return $(".facts").replaceChildren(t("unreachable"));
  const app = (name, v) => make("div", "fact", make("h3", "", name), make("p", "big", v.version),
    make("p", "", v.build ? `${t("build")} ${v.build}` : ""), make("p", "url", v.url));
  const square = make("ul", "", ...mobile.square.map((entry) => make("li", "", make("b", "", nameOf(entry.name || entry.id)),
    ` ${t(entry.type)}${entry.memberCount ? " · " + t("members", { n: entry.memberCount }) : ""}`)));
  $(".facts").replaceChildren(app("iOS", mobile.versions.iOS), app("Android", mobile.versions.Android), make("div", "fact", make("h3", "", t("square")), square));
}

// ---- Start

async function start() {
  ids = await (await fetch("/demo/world")).json();
  phones.push(new Phone("alice"), new Phone("bob"));
  for (const b of $$("[data-lang]")) b.onclick = () => { localStorage.setItem("language", b.dataset.lang); setLanguage(b.dataset.lang); };
  form.onsubmit = (e) => { e.preventDefault(); ask(); };
  form.oninput = showExample;
  slider.oninput = move;
  $$(".steps button").forEach((b, i) => { b.onclick = () => turnTo(i, b); });
  editor.oninput = showProblem;
  $(".save").onclick = saveEditor;
  $(".revert").onclick = fillEditor;
  Object.entries(examples).forEach(addExample);
  showExample();
  setLanguage(language);

  const events = new EventSource("/demo/events");
  events.addEventListener("catalog", (e) => hearCatalog(JSON.parse(e.data)));
  events.addEventListener("delivery", (e) => {
    const d = JSON.parse(e.data);
    addLine({ ...d, conversation: d.to === "team" ? "team" : between(d.from, d.to) });
  });
  events.addEventListener("exchange", (e) => showExchange(JSON.parse(e.data)));
  events.onerror = () => { if (events.readyState === EventSource.CLOSED) $("#wire").prepend(label("p", "problem", "refusedEvents")); };

  for (const phone of phones) await phone.refresh();
  await readMobile();
  await ask();
}

start();
