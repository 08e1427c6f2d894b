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

// ---- Language

let language = localStorage.getItem("language") || (navigator.language.startsWith("zh") ? "zh" : "en");

// t returns a text of texts.js, with values in the place of {name}.
function t(key, values = {}) {
  const text = texts[key]?.[language === "zh" ? 1 : 0] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function detail(text) {
  const known = language === "zh" && details.find(([pattern]) => pattern.test(text));
  return known ? text.replace(...known) : text;
}

function translate(root) {
  for (const e of $$("[data-t]", root)) e.textContent = t(e.dataset.t);
  for (const e of $$("[data-label]", root)) e.setAttribute("aria-label", t(e.dataset.label));
}

function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  for (const b of $$("[data-lang]")) b.setAttribute("aria-pressed", b.dataset.lang === language);
  translate(document);
  for (const phone of phones) phone.render();
  for (const show of [showExamples, showUpdate, showCatalog, showMobile, showExchanges]) show();
}

// ---- Phones

let ids = {}; // public ids by name
const phones = [];
const lines = []; // of all conversations, as they came
const users = { alice: "Alice", bob: "Bob", mallory: "Mallory" };
const nameOf = (user) => users[user] || "Team";

// A line is a message that the cloud delivered, or what one phone alone shows:
// {conversation, from, users, objectName, content} or {conversation, phone, text()}.
function addLine(line) {
  lines.push(line);
  for (const phone of phones) phone.hear(line);
}

class Phone {
  constructor(user) {
    this.user = user;
    this.group = false; // which conversation is open
    this.unread = {}; // by conversation
    this.talk = 0;
    this.root = $("#phone").content.cloneNode(true).firstElementChild;
    $(".pair").append(this.root);
    this.switch = $("[role=switch]", this.root);
    this.chat = $(".chat", this.root);
    this.input = $("form input", this.root);
    $("select", this.root).onchange = (e) => this.become(e.target.value);
    $("form", this.root).onsubmit = (e) => { e.preventDefault(); this.send(); };
    $(".shot", this.root).onclick = () => this.shoot();
    this.switch.onclick = () => this.post("set_screen_capture", { noticeStatus: this.isOn() ? 0 : 1 });
  }

  // The friend of Alice is Bob, and his is Alice; Mallory tries whoever has the other phone.
  partner() {
    if (this.user === "mallory") return phones.find((p) => p !== this).user;
    return this.user === "alice" ? "bob" : "alice";
  }
  conversation(group = this.group) {
    return group ? "team" : [this.user, this.partner()].sort().join("+");
  }
  target() { return this.group ? "team" : this.partner(); }
  isOn() { return this.switch.getAttribute("aria-checked") === "true"; }

  become(user) {
    this.user = user;
    this.unread = {};
    for (const phone of phones) phone.render();
    this.refresh();
  }

  open(group) {
    this.group = group;
    this.render();
    this.refresh();
  }

  // refresh asks for the switch, as clients do when a chat is opened.
  async refresh() {
    this.switch.setAttribute("aria-checked", false);
    const answer = await this.post("get_screen_capture");
    this.switch.setAttribute("aria-checked", answer?.result.status === 1);
  }

  send() {
    const content = this.input.value || this.input.placeholder;
    this.post("send_message", { conversationType: this.group ? "GROUP" : "PRIVATE", objectName: "RC:TxtMsg", content });
    this.input.value = "";
    this.talk++;
    this.suggest();
  }

  suggest() {
    const talk = t("smallTalk").split("|");
    this.input.placeholder = talk[this.talk % talk.length];
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
      addLine({ conversation, phone: this, refused: true, text: () => `${t("refused")} (${response.status}): ${t(answer.message)}` });
    } catch {
      addLine({ conversation, phone: this, refused: true, text: () => t("unreachable") });
    }
  }

  // hear shows a line, if it is for this phone.
  hear(line) {
    if (line.phone ? line.phone !== this : ![...line.users, line.from].includes(this.user)) return;
    if (line.conversation !== this.conversation()) {
      if (line.conversation === this.conversation(!this.group)) this.unread[line.conversation] = true;
      this.renderTabs();
      return;
    }
    const notice = line.objectName === "ST:ConNtf" && JSON.parse(line.content).operation;
    if (notice === "openScreenNtf") this.switch.setAttribute("aria-checked", true);
    if (notice === "closeScreenNtf") this.switch.setAttribute("aria-checked", false);
    $(".empty", this.chat)?.remove();
    this.chat.append(this.element(line, notice));
    this.chat.scrollTop = this.chat.scrollHeight;
  }

  element(line, notice) {
    if (line.phone) return make("p", line.refused ? "told refused" : "told", line.text());
    const mine = line.from === this.user;
    if (notice) {
      const key = { openScreenNtf: ["openMine", "open"], closeScreenNtf: ["closeMine", "close"], sendScreenNtf: ["shotMine", "shotBy"] }[notice];
      return make("p", "told", t(key[mine ? 0 : 1], { name: nameOf(line.from) }));
    }
    let content = {};
    try { content = JSON.parse(line.content); } catch { /* a type of its own */ }
    return make("p", mine ? "bubble mine" : "bubble", make("b", "", nameOf(line.from)), content.title || content.content || line.content);
  }

  renderTabs() {
    const tab = (group) => {
      const button = make("button", "", group ? nameOf("team") : nameOf(this.partner()));
      button.type = "button";
      button.setAttribute("aria-pressed", group === this.group);
      if (this.unread[this.conversation(group)]) button.append(make("span", "unread", make("span", "hidden", t("unread"))));
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
    this.suggest();
    const on = this.switch.getAttribute("aria-checked");
    this.chat.replaceChildren(make("p", "empty", t("empty")));
    delete this.unread[this.conversation()];
    for (const line of lines) if (line.conversation === this.conversation()) this.hear(line);
    this.switch.setAttribute("aria-checked", on);
    this.renderTabs();
  }
}

// ---- Inspector

const exchanges = [];

function showExchange(e) {
  const status = make("span", e.status < 300 ? "status good" : "status bad", String(e.status));
  const summary = make("summary", "", make("span", "method", e.method), make("span", "endpoint", e.path), status,
    make("span", "who", users[e.user] || e.user || t("nobody")));
  if (e.cloud.length) summary.append(make("span", "cloud", "→ " + t("cloudCalled")));
  const item = make("details", "", summary, make("h3", "", t("request")), make("pre", "", e.request), make("h3", "", t("answer")), make("pre", "", e.answer));
  item.name = "exchange"; // one is open at a time
  for (const sent of e.cloud) {
    const form = make("dl", "");
    for (const [name, value] of sent.form) form.append(make("dt", "", name), make("dd", "", value));
    const verdict = make("p", sent.verified ? "verified" : "unverified", t(sent.verified ? "verified" : "unverified"));
    item.append(make("h3", "", t("cloud")), verdict, form, make("pre", "", sent.request), make("h3", "", t("answer")), make("pre", "", sent.answer));
  }
  const list = $(".exchanges");
  list.prepend(make("li", "", item));
  item.open = true; // and the one before closes
  if (list.children.length > 40) list.lastChild.remove();
}

function showExchanges() {
  $(".exchanges").replaceChildren();
  exchanges.forEach(showExchange);
}

// ---- Update card

let answered; // {status, statusText, release, message, verdicts}
const form = $("#update form");
const examples = {
  exMac: ["2.0.0", "darwin", "arm64", "14.5", "", "mac-6"],
  exOther: ["2.0.0", "darwin", "arm64", "14.5", "", "mac-3"],
  exStep: ["1.0.0", "win32", "x64", "10.0.19045", "", "pc-1"],
  exOld: ["1.0.2", "darwin", "x64", "10.15.7", "", "mac-1"],
  exBeta: ["2.1.0", "darwin", "arm64", "15.1", "beta", "mac-2"],
  exBad: ["two", "linux", "x64", "", "", ""],
};

function showExamples() {
  $(".examples").replaceChildren(...Object.entries(examples).map(([key, values]) => {
    const button = make("button", "", t(key));
    button.type = "button";
    button.onclick = () => {
      [...form.elements].slice(0, values.length).forEach((field, i) => { field.value = values[i]; });
      ask();
    };
    return button;
  }));
}

async function ask() {
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  const response = await fetch("/misc/latest_update?" + query);
  const text = await response.text();
  const verdicts = await (await fetch("/demo/explain?" + query)).json();
  answered = { status: response.status, statusText: response.statusText, body: text && JSON.parse(text), verdicts };
  showUpdate();
}

function showUpdate() {
  if (!answered) return;
  const { status, statusText, body, verdicts } = answered;
  let words = t("offersNothing");
  if (status === 200) words = t("offers", { version: body.version }) + (body.mandatory ? ` · ${t("mandatory")}` : "");
  if (status >= 400) words = body.message;
  const line = make("p", "", make("span", status < 300 ? "status good" : "status bad", `${status} ${statusText}`), make("strong", "", words));
  $(".result").replaceChildren(line);
  if (body) $(".result").append(make("pre", "", JSON.stringify(body, null, 2)));
  $("#update table").hidden = !verdicts.length;
  $("#update tbody").replaceChildren(...verdicts.map((v) => {
    const head = make("th", "", swatch(v.version), v.version);
    head.scope = "row";
    return make("tr", v.reason === "update" ? "offered" : "", head, make("td", "", make("code", "", v.reason)), make("td", "", detail(v.detail)));
  }));
}

// ---- Rollout

let catalog; // {path, text, problem, installations}
const colours = new Map(); // by version, as they are first seen
const editor = $("textarea");
const slider = $("#percent");
const rolloutInFile = /("rollout"\s*:\s*)[\d.]+/;

function colour(version) {
  if (!version) return "none";
  if (!colours.has(version)) colours.set(version, "c" + colours.size % 6);
  return colours.get(version);
}
const swatch = (version) => make("span", "swatch " + colour(version));

function hearCatalog(state) {
  if (!catalog || editor.value === catalog.text) editor.value = state.text; // keeps what is being edited
  catalog = state;
  showCatalog();
  if (answered) ask();
}

function showCatalog() {
  if (!catalog) return;
  let releases = [];
  try { releases = JSON.parse(catalog.text).releases; } catch { /* the problem says so */ }
  releases.forEach((r) => colour(r.version));
  const rolling = releases.find((r) => "rollout" in r);
  slider.disabled = !rolling;
  if (rolling && document.activeElement !== slider) slider.value = rolling.rollout;
  $(".slider label").textContent = rolling ? t("percent", { version: rolling.version, percent: rolling.rollout }) : t("noPercent");

  const strip = $(".strip");
  const counts = new Map();
  catalog.installations.forEach((n, i) => {
    const square = strip.children[i] || strip.appendChild(make("span", ""));
    square.className = colour(n.offered);
    square.title = `${n.id}: ${n.version} ${n.platform} ${n.arch} ${n.os} → ${n.offered || t("nothingNew")}`;
    counts.set(n.offered, (counts.get(n.offered) || 0) + 1);
  });
  const order = [...releases.map((r) => r.version), ""].filter((version) => counts.has(version));
  const words = order.map((version) => `${version || t("nothingNew")} ${counts.get(version)}`);
  strip.setAttribute("aria-label", t("stripLabel", { counts: words.join(", ") }));
  $(".legend").replaceChildren(...order.map((version) => make("li", "", swatch(version), version || t("nothingNew"), " ", make("b", "", String(counts.get(version))))));
  $(".path code").textContent = catalog.path;
  $(".problem").textContent = catalog.problem && `${t("stale")} ${catalog.problem}`;
}

let saving; // the newest text that waits for the one before

async function save(text) {
  const busy = saving !== undefined;
  saving = text;
  if (busy) return;
  for (let last; saving !== last;) {
    last = saving;
    const response = await fetch("/demo/releases", { method: "PUT", body: last });
    $(".problem").textContent = response.ok ? "" : `${t("notSaved")} ${await response.text()}`;
  }
  saving = undefined;
}

// ---- Mobile versions and the square

let mobile; // {versions, square}

function showMobile() {
  if (!mobile) return;
  const app = (name, v) => make("div", "fact", make("h3", "", name), make("p", "big", v.version),
    make("p", "", v.build ? `${t("build")} ${v.build}` : ""), make("p", "url", v.url));
  const square = make("ul", "", ...mobile.square.map((entry) => make("li", "", make("b", "", entry.name || entry.id),
    ` ${t(entry.type)}${entry.memberCount ? " · " + t("members", { n: entry.memberCount }) : ""}`)));
  $(".facts").replaceChildren(app("iOS", mobile.versions.iOS), app("Android", mobile.versions.Android), make("div", "fact", make("h3", "", t("square")), square));
}

// ---- Start

async function start() {
  ids = await (await fetch("/demo/world")).json();
  phones.push(new Phone("alice"), new Phone("bob"));
  for (const b of $$("[data-lang]")) b.onclick = () => { localStorage.setItem("language", b.dataset.lang); setLanguage(b.dataset.lang); };
  form.onsubmit = (e) => { e.preventDefault(); ask(); };
  form.onchange = ask;
  slider.oninput = () => save(catalog.text.replace(rolloutInFile, "$1" + slider.value));
  $(".save").onclick = () => save(editor.value);
  $(".revert").onclick = () => { editor.value = catalog.text; };
  setLanguage(language);

  const events = new EventSource("/demo/events");
  events.addEventListener("catalog", (e) => hearCatalog(JSON.parse(e.data)));
  events.addEventListener("delivery", (e) => {
    const d = JSON.parse(e.data);
    addLine({ ...d, conversation: d.to === "team" ? "team" : [d.from, d.to].sort().join("+") });
  });
  events.addEventListener("exchange", (e) => { exchanges.push(JSON.parse(e.data)); showExchange(exchanges.at(-1)); });

  for (const phone of phones) await phone.refresh();
  const versions = await (await fetch("/misc/client_version")).json();
  await fetch("/misc/mobile_version");
  mobile = { versions, square: (await (await fetch("/misc/demo_square")).json()).result };
  showMobile();
  await ask();
}

start();
