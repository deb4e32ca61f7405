// The example console of Koios: how a page talks to the REST API. Plain JavaScript, no build step, no library.
//
// It is documentation: comments say what the API expects of its clients, not what the code does. In order:
//
//   1  calling the API: token, problems, pages, revisions, idempotency, downloads
//   2  elements: text never becomes markup
//   3  words and badges: unknown ones are shown, not feared
//   4  forms and dialogs: problems beside the fields that they are about
//   5  lists
//   6  certificates: detail, generate, upload and replace, regenerate, delete, the default, downloads
//   7  devices: the form with the certificate selector, Test with its stages
//   8  staying up to date: events, else polling
//   9  the token, and the start

// ------------------------------------------------------------------------------------------------ 1  Calling the API

// Relative to the page (which lies at /console/), so that a proxy may put Koios under a path of its own.
const API = new URL("../api/v1/", document.baseURI);

// The token lives as long as this tab. It goes out in a header and nowhere else: addresses end up in logs and histories.
const TOKEN_KEY = "koios-token";
let token = sessionStorage.getItem(TOKEN_KEY);

/** What a request that failed came to: the fields of application/problem+json (RFC 9457), as the API sends them. */
class Problem extends Error {
  constructor({ status, code, title, detail, errors = [], request_id = null }) {
    super(detail);
    // `code` is for programs, from a closed list that grows; `detail` is a sentence for people and says what to do.
    Object.assign(this, { status, code, title, detail, errors, request_id });
  }
}

/** The address of something under /api/v1. The token never goes anywhere else, whatever a link in an answer says. */
function apiUrl(path, query = {}) {
  const url = new URL(path, API);
  if (!url.href.startsWith(API.href)) throw new Error(`not an address of this API: ${url.href}`);
  for (const [name, value] of Object.entries(query)) {
    // A parameter that the API does not know, or an empty one where a word is expected, is refused with 422.
    if (value !== null && value !== undefined && value !== "") url.searchParams.append(name, value);
  }
  return url;
}

/** Sends a request and answers the response, or throws a Problem. */
async function send(method, path, { query, json, form, ifMatch, idempotencyKey, signal } = {}) {
  const headers = { Authorization: `Bearer ${token}` };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  // A form sets its own Content-Type, with the boundary.
  if (ifMatch) headers["If-Match"] = ifMatch;
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  let response;
  try {
    response = await fetch(apiUrl(path, query), {
      method,
      headers,
      body: form ?? (json === undefined ? undefined : JSON.stringify(json)),
      signal,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      status: 0,
      code: "unreachable",
      title: "No answer",
      detail: "Koios did not answer. Whether the request was carried out is not known; it may be sent again.",
    });
  }
  if (response.ok) return response;
  const problem = await readProblem(response);
  if (problem.status === 401) signOut(problem);
  throw problem;
}

async function readProblem(response) {
  // Something between the browser and Koios, such as a proxy, may answer in its own way.
  const known = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  const body = known ? await response.json().catch(() => null) : null;
  return new Problem(body ?? {
    status: response.status,
    code: "unknown",
    title: "The request failed",
    detail: `The answer was ${response.status} ${response.statusText}.`,
  });
}

/** Sends a request and answers its JSON. */
async function call(method, path, options) {
  const response = await send(method, path, options);
  return response.status === 204 ? null : response.json();
}

/** One certificate or device with its ETag, which a later change sends back as If-Match. */
async function readForChange(path) {
  const response = await send("GET", path);
  return { resource: await response.json(), etag: response.headers.get("ETag") };
}

/** The ETag of a certificate or device that came in a list or in another answer: its revision in quotes. */
const etagOf = (resource) => `"${resource.revision}"`;

/** All items of a list, page by page: `next_cursor` leads on until it is null. A cursor survives inserts and deletes. */
async function* everything(path, query = {}) {
  let cursor = null;
  do {
    const page = await call("GET", path, { query: { ...query, limit: 500, cursor } });
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor);
}

/**
 * What somebody wants done once, however often it is sent: generate, upload, replace and regenerate take an Idempotency-Key.
 *
 * The key stays the same while the request does, so that pressing the button again after a lost answer makes no second
 * certificate. With another body it has to change: the API refuses a key that was used for something else.
 */
class Intent {
  #key;
  #content;

  keyFor(content) {
    if (content !== this.#content) {
      this.#content = content;
      // Not crypto.randomUUID(): browsers have that on HTTPS and localhost only.
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      this.#key = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    }
    return this.#key;
  }

  keyForForm(form) {
    const part = ([name, value]) => [name, value instanceof File ? [value.name, value.size, value.lastModified] : value];
    return this.keyFor(JSON.stringify([...form].map(part)));
  }
}

/** Saves an answer as a file. A plain link could not carry the token. */
async function download(path, options = {}) {
  const response = await send(options.method ?? "GET", path, options);
  const url = URL.createObjectURL(await response.blob());
  const link = h("a", { href: url, download: fileName(response.headers.get("Content-Disposition")) });
  document.body.append(link);
  link.click();
  link.remove();
  URL.revokeObjectURL(url);
}

/** The name after RFC 6266: `filename*` has the letters of the certificate's name, `filename` is ASCII. */
function fileName(disposition) {
  const international = disposition?.match(/filename\*=UTF-8''([^;]+)/i);
  if (international) return decodeURIComponent(international[1]);
  return disposition?.match(/filename="([^"]+)"/i)?.[1] ?? "download";
}

// ------------------------------------------------------------------------------------------------------- 2  Elements

const $ = (selector, root = document) => root.querySelector(selector);

/**
 * Makes an element. Children are elements or text, and text stays text: names come from people and subjects from servers,
 * so that nothing here ever goes through innerHTML.
 */
function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button that does something which may fail. */
function button(text, action, attributes = {}) {
  return h("button", { type: "button", onclick: (event) => attempt(() => action(event)), ...attributes }, text);
}

const ICONS = {
  check: "M3 8.5l3.2 3.2L13 4.8",
  cross: "M4 4l8 8M12 4l-8 8",
  clock: "M8 2.5a5.5 5.5 0 1 0 .01 0M8 5v3.2l2.2 1.6",
  warning: "M8 2.5L14 13.5H2zM8 6.5v3M8 11.6v.2",
  file: "M4 2.5h5l3 3v8H4zM6 8l4 4M10 8l-4 4",
  dot: "M6 6h4v4H6z",
  dash: "M4 8h8",
  star: "M8 1.8l1.9 4 4.4.6-3.2 3.1.8 4.4L8 11.8 4.1 13.9l.8-4.4L1.7 6.4l4.4-.6z",
};

/** A small drawing; what it means always stands beside it in words. */
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon", `icon-${name}`);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const hiddenText = (text) => h("span", { class: "hidden-text" }, text);

/** Terms with their descriptions; those that are null are left out. */
function facts(entries) {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", {}, shown.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

/** Says something that is no answer to a form: at the top of the page, announced by screen readers. */
function say(text, kind = "done") {
  const line = h("li", { class: kind === "failed" ? "problem" : "notice" }, h("span", {}, text));
  line.append(button("Dismiss", () => line.remove(), { class: "quiet" }));
  const messages = $("#messages");
  messages.append(line);
  while (messages.children.length > 4) messages.firstChild.remove();
}

/** Runs what a button stands for, and says it if that fails. */
async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (!(error instanceof Problem)) throw error;
    // Told already, where a token is asked for.
    if (error.status === 401) return undefined;
    // Only what lies in an open dialog can be seen and read.
    const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
    if (dialog) showProblem(dialog, error);
    else say(error.detail, "failed");
    return undefined;
  }
}

// ----------------------------------------------------------------------------------------------- 3  Words and badges

// The API may say words that this page does not know yet: enumerations grow within /api/v1, and clients must accept it.
const WORDS = new Map(Object.entries({
  valid: "Valid",
  expired: "Expired",
  not_yet_valid: "Not yet valid",
  expiring_soon: "Expiring soon",
  missing_files: "Missing files",
  generated: "Generated here",
  uploaded: "Uploaded",
  issued: "Issued by an authority",
  imported: "Imported",
  none: "None",
  sign: "Sign",
  sign_and_encrypt: "Sign & Encrypt",
  stopped: "Stopped",
  starting: "Starting",
  running: "Running",
  failed: "Failed",
  passed: "Passed",
  skipped: "Skipped",
  certificate: "Our certificate",
  resolve: "Resolve the host name",
  connect: "Connect",
  hello: "Hello",
  endpoints: "Read the endpoints",
  endpoint_selection: "Choose an endpoint",
  server_certificate: "Judge the server's certificate",
  secure_channel: "Open the secure channel",
  session: "Create the session",
  user_identity: "Log in",
  read: "Read the server's status",
  server: "the server",
  client: "Koios",
}));

function word(code) {
  const text = WORDS.get(code);
  if (text) return text;
  const spaced = String(code).replaceAll("_", " ");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

// Look and symbol of a badge; its word is always there too, since colours alone tell some people nothing.
const BADGES = new Map(Object.entries({
  valid: ["good", "check"],
  expired: ["bad", "cross"],
  not_yet_valid: ["bad", "clock"],
  expiring_soon: ["care", "clock"],
  missing_files: ["bad", "file"],
  running: ["good", "check"],
  starting: ["care", "clock"],
  failed: ["bad", "cross"],
  passed: ["good", "check"],
  stopped: ["plain", "dot"],
  skipped: ["plain", "dash"],
}));

function badge(code) {
  const [look, symbol] = BADGES.get(code) ?? ["plain", "dot"];
  return h("span", { class: `badge ${look}`, "data-code": code }, icon(symbol), word(code));
}

/** A certificate has one status or more, in an order that the API keeps: all of them are shown. */
const badges = (statuses) => h("span", { class: "badges" }, statuses.map(badge));

// Times are RFC 3339 in UTC; people read them in their own zone.
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const time = (text, format = DATE_AND_TIME) => h("time", { datetime: text, title: text }, format.format(new Date(text)));

const count = (number, one, many = `${one}s`) => `${number.toLocaleString()} ${number === 1 ? one : many}`;

/** `expires_in_days` is negative after the end. */
function daysLeft(days) {
  if (days < 0) return `${count(-days, "day")} ago`;
  return days === 0 ? "today" : `in ${count(days, "day")}`;
}

const keyText = (key) => (key.algorithm === "ec" ? `EC ${word(key.curve)}` : `${key.algorithm.toUpperCase()} ${key.bits} bits`);

/** The devices that a change concerns, as every answer names them. */
function deviceRefs(devices) {
  return h("ul", { class: "device-refs" }, devices.map((device) =>
    h("li", {},
      h("strong", {}, device.name), " ", h("span", { class: "muted" }, device.endpoint_url), " ",
      [device.through_default && "uses the default", !device.enabled && "disabled"].filter(Boolean)
        .map((note) => h("span", { class: "tag" }, note)))));
}

// ---------------------------------------------------------------------------------------------- 4  Forms and dialogs

/** Shows a problem: its sentence on top, and what concerns a field beside that field. */
function showProblem(root, problem) {
  hideProblem(root);
  const elsewhere = problem.errors.filter((error) => !markField(root, error));
  const box = $(".problem", root);
  box.replaceChildren(
    h("p", {}, h("strong", {}, problem.title), " ", problem.detail),
    ...(elsewhere.length > 0 ? [h("ul", {}, elsewhere.map((error) => h("li", {}, h("code", {}, error.field), " ", error.detail)))] : []),
    // Whoever reads the daemon's log finds the request by its id.
    h("p", { class: "muted" }, h("code", {}, problem.code), problem.request_id ? ` · request ${problem.request_id}` : ""),
  );
  box.hidden = false;
  ($("[aria-invalid]", root) ?? box).scrollIntoView({ block: "nearest" });
  $("[aria-invalid]", root)?.focus();
}

/** `field` is a path such as `name`, `user_identity.password` or `assign_to[1]`. */
function markField(root, error) {
  const name = CSS.escape(error.field);
  const place = $(`[data-field="${name}"]`, root) ?? $(`[name="${name}"]`, root)?.closest(".field");
  const input = place && $("input, select", place);
  // A field that is hidden cannot tell anybody anything.
  if (!input || input.closest("[hidden]")) return false;
  const id = `problem-${root.id}-${error.field.replaceAll(/[^a-z_]/g, "-")}`;
  place.append(h("span", { class: "field-problem", id }, error.detail));
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", [input.getAttribute("aria-describedby"), id].filter(Boolean).join(" "));
  return true;
}

function hideProblem(root) {
  for (const input of root.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    const others = input.getAttribute("aria-describedby").split(" ").filter((id) => !id.startsWith("problem-"));
    input.setAttribute("aria-describedby", others.join(" "));
  }
  for (const note of root.querySelectorAll(".field-problem")) note.remove();
  const box = $(".problem", root);
  box.hidden = true;
  box.replaceChildren();
}

/** Lets a form do something when it is submitted: one at a time, and with its problems shown in it. */
function onSubmit(form, action) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const submit = $("button[type=submit]", form);
    if (submit.disabled) return;
    const root = form.closest("dialog, section");
    hideProblem(root);
    submit.disabled = true;
    form.setAttribute("aria-busy", "true");
    try {
      await action(form.elements);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status !== 401) showProblem(root, error);
    } finally {
      submit.disabled = false;
      form.removeAttribute("aria-busy");
    }
  });
}

/** Opens a dialog with an empty form. */
function openDialog(dialog) {
  $("form", dialog)?.reset();
  if ($(".problem", dialog)) hideProblem(dialog);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

for (const dialog of document.querySelectorAll("dialog")) {
  for (const close of dialog.querySelectorAll("[data-close]")) close.addEventListener("click", () => dialog.close());
  // What was typed, a passphrase perhaps, does not wait in a closed dialog.
  dialog.addEventListener("close", () => $("form", dialog)?.reset());
}

const field = (label, input) => h("div", { class: "field" }, h("label", { class: "label", for: input.id }, label), h("input", input));

const trimmed = (input) => input.value.trim();
/** In requests, a field that is left out has its default, and `null` clears one that is optional. */
const textOrNull = (input) => trimmed(input) || null;
const numberOrNothing = (input) => (input.value === "" ? undefined : Number(input.value));

function toggle(root, selector, shown) {
  for (const element of root.querySelectorAll(selector)) element.hidden = !shown;
}

// ---------------------------------------------------------------------------------------------------------- 5  Lists

const PAGE_SIZE = 25;

/** A table that shows one page of a list, searched, filtered and sorted by the API. */
class List {
  #newest = 0;
  #earlier = [];
  #cursor = null;
  #next = null;
  #sort = "name";
  #shown = null;

  constructor({ path, noun, row, empty }) {
    Object.assign(this, { path, noun, row, empty });
    this.table = $(`#${path}`);
    this.section = this.table.closest("section");
    this.filter = $(`#${path}-filter`);
    this.filter.addEventListener("submit", (event) => event.preventDefault());
    let typing;
    this.filter.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#begin(), 200);
    });
    for (const heading of this.table.querySelectorAll("th[data-sort]")) {
      $("button", heading).addEventListener("click", () => {
        const key = heading.dataset.sort;
        // `sort=name` is ascending, `sort=-name` descending.
        this.#sort = this.#sort === key ? `-${key}` : key;
        this.#begin();
      });
    }
    this.pages = $(".pages", this.section);
    $("[data-page=next]", this.pages).addEventListener("click", () => {
      this.#earlier.push(this.#cursor);
      this.#cursor = this.#next;
      attempt(() => this.load());
    });
    $("[data-page=previous]", this.pages).addEventListener("click", () => {
      this.#cursor = this.#earlier.pop();
      attempt(() => this.load());
    });
  }

  /** From the first page: a cursor belongs to the search and order with which it was made. */
  #begin() {
    this.#earlier = [];
    this.#cursor = null;
    attempt(() => this.load());
  }

  /** Loads the page that is shown once more. */
  async load() {
    const number = ++this.#newest;
    this.table.setAttribute("aria-busy", "true");
    try {
      const filter = Object.fromEntries(new FormData(this.filter));
      const query = { ...filter, sort: this.#sort, limit: PAGE_SIZE, cursor: this.#cursor };
      const page = await call("GET", this.path, { query });
      // A slow answer to an older question.
      if (number !== this.#newest) return;
      // The last item of this page was deleted.
      if (page.items.length === 0 && this.#earlier.length > 0) {
        this.#cursor = this.#earlier.pop();
        await this.load();
        return;
      }
      this.#show(page);
    } finally {
      if (number === this.#newest) this.table.removeAttribute("aria-busy");
    }
  }

  #show(page) {
    const { items, total, next_cursor: next } = page;
    // Rows that say the same stay as they are, with whatever somebody has selected in them.
    const text = JSON.stringify([page, this.#sort]);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#next = next;
    keepFocus(() => $("tbody", this.table).replaceChildren(...items.map((item) => this.#row(item))));
    for (const heading of this.table.querySelectorAll("th[data-sort]")) {
      const order = { [heading.dataset.sort]: "ascending", [`-${heading.dataset.sort}`]: "descending" }[this.#sort];
      if (order) heading.setAttribute("aria-sort", order);
      else heading.removeAttribute("aria-sort");
    }
    $(`#${this.path}-total`).textContent = count(total, this.noun);
    const searched = [...new FormData(this.filter).values()].some((value) => value !== "");
    const empty = $(".empty", this.section);
    empty.hidden = items.length > 0;
    empty.textContent = searched ? "Nothing fits." : this.empty;
    this.table.hidden = items.length === 0;
    this.pages.hidden = this.#earlier.length === 0 && next === null;
    $("[data-page=previous]", this.pages).disabled = this.#earlier.length === 0;
    $("[data-page=next]", this.pages).disabled = next === null;
  }

  #row(item) {
    const row = this.row(item);
    row.dataset.id = item.id;
    return row;
  }

  /** Reads one item anew, where it is on this page. */
  async refresh(id) {
    const shown = $(`tr[data-id="${CSS.escape(id)}"]`, this.table);
    if (!shown) return;
    const item = await call("GET", `${this.path}/${id}`);
    this.#shown = null;
    keepFocus(() => shown.replaceWith(this.#row(item)));
  }

  clear() {
    this.#newest++;
    this.#earlier = [];
    this.#cursor = null;
    this.#shown = null;
    $("tbody", this.table).replaceChildren();
    $(`#${this.path}-total`).textContent = "";
    this.filter.reset();
  }
}

/** Rows are made anew when something changes; whoever has reached one of their buttons by keyboard stays there. */
function keepFocus(change) {
  const row = document.activeElement?.closest("tr[data-id]");
  const key = document.activeElement?.dataset.key;
  change();
  if (row && key) $(`tr[data-id="${CSS.escape(row.dataset.id)}"] [data-key="${CSS.escape(key)}"]`)?.focus();
}

/** A row with the roles of a table, and headings for narrow screens, where each row is a card. */
function tableRow(...cells) {
  return h("tr", { role: "row" }, cells.map(([heading, content, attributes]) =>
    h("td", { role: "cell", "data-heading": heading, ...attributes }, h("div", {}, content))));
}

// --------------------------------------------------------------------------------------------------- 6  Certificates

const certificates = new List({
  path: "certificates",
  noun: "certificate",
  empty: "There is no certificate yet. A device with security mode None needs none.",
  row: (certificate) => tableRow(
    ["Default", star(certificate), { class: "star-cell" }],
    ["Name", [
      button(certificate.name, () => openDrawer(certificate.id), { class: "link", "data-key": "open" }),
      certificate.description && h("span", { class: "muted line" }, certificate.description),
    ], { class: "name-cell" }],
    ["Common name", certificate.common_name ?? "–"],
    ["Status", badges(certificate.statuses)],
    ["Expires", [time(certificate.not_after, DATE), h("span", { class: "muted line" }, daysLeft(certificate.expires_in_days))]],
    ["Devices", String(certificate.device_count), { class: "number" }],
  ),
});

/** The star: it marks the default, and moves it. */
function star(certificate) {
  if (certificate.is_default) {
    return h("span", { class: "star is-default", title: "The default certificate" }, icon("star"), hiddenText("Default"));
  }
  const text = `Make ${certificate.name} the default`;
  return h("button", {
    type: "button", class: "star", title: text, "data-key": "default", onclick: () => attempt(() => changeDefault(certificate)),
  }, icon("star"), hiddenText(text));
}

// Detail (R7). The drawer shows what it opened with until something happens to it.
const drawer = $("#drawer");
let drawn = null;

async function openDrawer(id) {
  drawn = await readForChange(`certificates/${id}`);
  if (!drawer.open) openDialog(drawer);
  $(".result", drawer).hidden = true;
  hideProblem(drawer);
  draw();
  await drawDevices(drawn.resource);
}

drawer.addEventListener("close", () => {
  // The browser gives the focus back to where it was, unless that row has been made anew meanwhile.
  const id = drawn?.resource.id;
  drawn = null;
  if (id && document.activeElement === document.body) $(`tr[data-id="${CSS.escape(id)}"] [data-key=open]`)?.focus();
});

/** Shows the certificate anew, unless somebody is typing there; their change will be told by 412 if it comes too late. */
async function redraw(id) {
  if (!drawer.open || drawn?.resource.id !== id) return;
  const isTyping = () => {
    const edit = $("form", drawer);
    return edit && [...edit.elements].some((input) => input.value !== (input.defaultValue ?? input.value));
  };
  if (isTyping()) return;
  let fresh;
  try {
    fresh = await readForChange(`certificates/${id}`);
  } catch (problem) {
    if (problem.code !== "not_found") throw problem;
    drawer.close();
    say("The certificate that was shown has been deleted.");
    return;
  }
  // Somebody may have begun to type while it was read.
  if (isTyping() || drawn?.resource.id !== id || JSON.stringify(fresh.resource) === JSON.stringify(drawn.resource)) return;
  drawn = fresh;
  draw();
  await drawDevices(drawn.resource);
}

function draw() {
  const certificate = drawn.resource;
  const path = `certificates/${certificate.id}`;
  $("#drawer-heading").textContent = certificate.name;
  const { files } = certificate;
  // Downloads need both files. Everything else is kept in the database and is shown in full without them.
  const fetchFile = (file, text) => button(text, () => download(`${path}/${file}`), { disabled: !files.downloadable });
  $("#drawer-content").replaceChildren(
    h("p", { class: "badges" }, certificate.statuses.map(badge), certificate.is_default && h("span", { class: "badge plain" }, icon("star"), "Default")),
    statusAdvice(certificate) ?? "",
    h("div", { class: "actions start" },
      button("Regenerate…", () => openRegenerate(certificate), { class: "danger" }),
      button("Replace…", () => openUpload(certificate)),
      !certificate.is_default && button("Make default…", () => changeDefault(certificate)),
      button("Delete…", () => deleteCertificate(certificate), { class: "danger" })),
    h("section", { "aria-labelledby": "drawer-details" },
      h("h3", { id: "drawer-details" }, "Certificate"),
      facts([
        ["Common Name", certificate.common_name ?? "–"],
        ["Organization", certificate.organization],
        ["Application URI", certificate.application_uri ?? "none"],
        ["Valid From", time(certificate.not_before)],
        ["Valid Until", h("span", {}, time(certificate.not_after), ` (${daysLeft(certificate.expires_in_days)})`)],
        ["Host names", [...certificate.dns_names, ...certificate.ip_addresses].join(", ")],
        ["Issuer", certificate.self_signed ? "Self-signed" : certificate.issuer],
        ["Origin", word(certificate.origin)],
        ["Key", keyText(certificate.key)],
        ["Thumbprint (SHA-1)", h("code", { class: "thumbprint" }, certificate.thumbprint_sha1)],
        ["Thumbprint (SHA-256)", h("code", { class: "thumbprint" }, certificate.thumbprint_sha256)],
      ])),
    findings(certificate.findings) ?? "",
    h("section", { "aria-labelledby": "drawer-files" },
      h("h3", { id: "drawer-files" }, "Files"),
      h("p", { class: "hint" }, "Import the .der into the server's trust list; some servers want a restart then."),
      h("div", { class: "actions start" },
        fetchFile("certificate.der", "Certificate (.der)"),
        fetchFile("certificate.pem", "Certificate (.pem)"),
        button("Private key (.pem)…", () => takeKeyOut(certificate), { disabled: !files.downloadable })),
      !files.downloadable && h("p", { class: "problem" }, missingFiles(files))),
    h("section", { "aria-labelledby": "drawer-devices" },
      h("h3", { id: "drawer-devices" }, "Used by ", count(certificate.device_count, "device")),
      h("div", { "data-devices": true })),
    editForm(certificate),
  );
}

/** What each badge asks of people. */
function statusAdvice({ statuses }) {
  const advice = {
    expired: "It has expired, and servers refuse it: regenerate it, or replace it by a new pair.",
    not_yet_valid: "It is not valid yet, and servers refuse it until then. Is the clock right?",
    expiring_soon: "It expires soon: plan when to regenerate it, since every server has to trust the new one.",
    missing_files: "Files of it are missing on the disk: put them back, or regenerate it. Devices cannot connect with it.",
  };
  const lines = statuses.filter((status) => Object.hasOwn(advice, status)).map((status) => h("p", { class: "warning" }, advice[status]));
  return lines.length > 0 ? h("div", {}, lines) : null;
}

function missingFiles({ certificate, private_key: key }) {
  const missing = [!certificate && "the certificate's file", !key && "the private key's file"].filter(Boolean);
  return `Downloads are unavailable: ${missing.join(" and ")} is not on the disk as it was stored.`;
}

/** What servers may dislike about it. The certificate is kept all the same: it is for people to judge. */
function findings(list) {
  if (list.length === 0) return null;
  return h("section", { "aria-labelledby": "drawer-findings" },
    h("h3", { id: "drawer-findings" }, "What servers may dislike"),
    h("ul", { class: "findings" }, list.map((finding) =>
      h("li", {}, h("strong", {}, word(finding.severity)), " ", finding.message, " ", h("span", { class: "muted" }, finding.reference)))));
}

/** Which devices use it: a list of its own, in pages, since there may be thousands. */
async function drawDevices(certificate) {
  const place = $("[data-devices]", drawer);
  if (certificate.device_count === 0) {
    place.replaceChildren(h("p", { class: "muted" }, "No device uses it."));
    return;
  }
  const page = await call("GET", `certificates/${certificate.id}/devices`, { query: { limit: 50 } });
  const more = page.total - page.items.length;
  place.replaceChildren(deviceRefs(page.items), more > 0 ? h("p", { class: "muted" }, `and ${more.toLocaleString()} more`) : "");
}

/** Name and description. If-Match says which state was seen: a change that somebody made since is not written over. */
function editForm(certificate) {
  const { etag } = drawn;
  const form = h("form", { novalidate: true, class: "edit" },
    h("h3", {}, "Name and description"),
    field("Name", { name: "name", id: "drawer-name", value: certificate.name, maxlength: 128 }),
    field("Description", { name: "description", id: "drawer-description", value: certificate.description ?? "", maxlength: 1024 }),
    h("div", { class: "actions start" }, h("button", { type: "submit" }, "Save")));
  onSubmit(form, async (input) => {
    const json = { name: trimmed(input.name), description: textOrNull(input.description) };
    try {
      await call("PATCH", `certificates/${certificate.id}`, { json, ifMatch: etag });
    } catch (problem) {
      throw problem.code === "revision_mismatch" ? changedMeanwhile(problem) : problem;
    }
    await Promise.all([openDrawer(certificate.id), certificates.load(), devices.load()]);
    tell(drawer, "Saved.");
  });
  return form;
}

/** 412: what to do about it is up to the person who made the change. */
function changedMeanwhile(problem) {
  problem.title = "Somebody else has changed this meanwhile.";
  problem.detail = "Nothing was saved. Close this and open it again to see what is there now, then make your change once more.";
  return problem;
}

function tell(dialog, text) {
  const result = $(".result", dialog);
  result.textContent = text;
  result.hidden = false;
}

// Generate (R5).
const generateDialog = $("#generate");
let generation = null;

/** Also from within the form of a device, which takes the result. */
function openGenerate(then) {
  generation = { intent: new Intent(), then };
  openDialog(generateDialog);
  showDefaultWarning(generateDialog);
}

onSubmit($("form", generateDialog), async (input) => {
  const json = {
    name: trimmed(input.name),
    description: textOrNull(input.description),
    // Blank means the system's host name, and so does null.
    hostname: textOrNull(input.hostname),
    validity_days: numberOrNothing(input.validity_days),
    make_default: input.make_default.checked,
    // `assign_to: [device ids]` would give it to devices in the same step, to all of them or to none.
  };
  const { intent, then } = generation;
  const made = await call("POST", "certificates/generate", { json, idempotencyKey: intent.keyFor(JSON.stringify(json)) });
  generateDialog.close();
  await Promise.all([certificates.load(), json.make_default && devices.load()]);
  await then(made);
});

/** Another default is another certificate for every device that names none. */
function showDefaultWarning(dialog) {
  toggle(dialog, "[data-default-warning]", $("[name=make_default]", dialog).checked);
}

// Upload (R6), and replace: the same form, for a certificate that keeps its place, its devices and the star.
const uploadDialog = $("#upload");
let uploading = null;

async function openUpload(replaced = null) {
  uploading = { intent: new Intent(), replaced };
  openDialog(uploadDialog);
  $("#upload-heading").textContent = replaced ? `Replace ${replaced.name}` : "Upload a certificate with its key";
  $("button[type=submit]", uploadDialog).textContent = replaced ? "Replace" : "Upload";
  toggle(uploadDialog, "[data-upload-only]", !replaced);
  toggle(uploadDialog, "[data-replace-only]", replaced);
  showDefaultWarning(uploadDialog);
  if (replaced) {
    const warning = $(".warning[data-replace-only]", uploadDialog);
    warning.textContent =
      `${count(replaced.device_count, "device")} will present the new certificate: their servers reject them until they trust it.`;
  }
}

onSubmit($("form", uploadDialog), async (input) => {
  const { intent, replaced } = uploading;
  const form = new FormData();
  const texts = replaced ? ["description", "passphrase"] : ["name", "description", "passphrase"];
  for (const name of texts) {
    const value = name === "passphrase" ? input[name].value : trimmed(input[name]);
    if (value !== "" || name === "name") form.append(name, value);
  }
  for (const name of ["certificate", "private_key"]) {
    if (input[name].files.length > 0) form.append(name, input[name].files[0]);
  }
  const flag = replaced ? "allow_uri_change" : "make_default";
  if (input[flag].checked) form.append(flag, "true");

  const path = replaced ? `certificates/${replaced.id}/replace` : "certificates/upload";
  const ifMatch = replaced && etagOf(replaced);
  const answer = await call("POST", path, { form, ifMatch, idempotencyKey: intent.keyForForm(form) });
  uploadDialog.close();
  await Promise.all([certificates.load(), devices.load()]);
  const id = replaced?.id ?? answer.id;
  await openDrawer(id);
  // Replace answers as regenerate does, with the re-trust warning.
  tell(drawer, replaced ? answer.message : uploadResult(answer));
});

/** A pair that servers may dislike is stored and flagged; only one that cannot be read or does not fit is refused. */
function uploadResult({ findings: list }) {
  const serious = list.filter((finding) => finding.severity !== "info");
  return serious.length === 0 ? "Uploaded." : `Uploaded, with ${count(serious.length, "finding")} that servers may mind; see below.`;
}

// Regenerate (R9): the old certificate is gone at once, and servers do not know the new one.
const regenerateDialog = $("#regenerate");
let regeneration = null;

async function openRegenerate(certificate) {
  // The dry run answers as the real one would, and changes nothing.
  const preview = await call("POST", `certificates/${certificate.id}/regenerate`, { query: { dry_run: true }, json: {} });
  regeneration = { intent: new Intent(), preview };
  openDialog(regenerateDialog);
  $("#regenerate-heading").textContent = `Regenerate ${certificate.name}?`;
  showRegeneration(preview);
}

function showRegeneration(answer, result = null) {
  const devices = answer.affected_devices;
  $("[data-consequences]", regenerateDialog).replaceChildren(
    result ?? h("p", {}, "It gets a new key and a new certificate in place: same name, same devices. The old key is removed."),
    h("p", { class: "warning" }, icon("warning"), " ", answer.message),
    answer.was_ca_issued ? h("p", { class: "warning" }, "An authority had signed it; the new one is self-signed.") : "",
    answer.request_dropped ? h("p", { class: "warning" }, "The pending certificate request ends with the old key.") : "",
    devices.length > 0
      ? h("div", {}, h("h3", {}, `Affected: ${count(devices.length, "device")}`), deviceRefs(devices))
      : h("p", { class: "muted" }, "No device uses it."),
    result ? button("Download the new certificate (.der)", () => download(`certificates/${answer.certificate.id}/certificate.der`)) : "",
  );
  toggle(regenerateDialog, "fieldset, button[type=submit]", !result);
  $("[data-close]", regenerateDialog).textContent = result ? "Close" : "Cancel";
}

onSubmit($("form", regenerateDialog), async (input) => {
  const { intent, preview } = regeneration;
  // What is left out stays as it was.
  const json = { hostname: textOrNull(input.hostname) ?? undefined, validity_days: numberOrNothing(input.validity_days) };
  const answer = await call("POST", `certificates/${preview.certificate.id}/regenerate`, {
    json,
    // What was confirmed is what was shown.
    ifMatch: etagOf(preview.certificate),
    idempotencyKey: intent.keyFor(JSON.stringify(json)),
  });
  $("#regenerate-heading").textContent = `${answer.certificate.name} is regenerated`;
  showRegeneration(answer, h("p", {}, "The new certificate is in use from now on. Its thumbprint (SHA-1): ",
    h("code", { class: "thumbprint" }, answer.certificate.thumbprint_sha1)));
  $("[data-close]", regenerateDialog).focus();
  await Promise.all([certificates.load(), devices.load(), redraw(answer.certificate.id)]);
});

// Delete (R10), the default (R4), taking a key out (R8).
const confirmDialog = $("#confirm");
let confirmed = null;

/** Asks for a second thought; `action` runs when it is given, and may throw a problem, which is shown. */
function ask({ heading, consequences, label, problem, action }) {
  confirmed = action;
  openDialog(confirmDialog);
  $("#confirm-heading").textContent = heading;
  $("[data-consequences]", confirmDialog).replaceChildren(...consequences);
  const submit = $("button[type=submit]", confirmDialog);
  submit.hidden = !action;
  submit.textContent = label ?? "";
  $("[data-close]", confirmDialog).textContent = action ? "Cancel" : "Close";
  if (problem) showProblem(confirmDialog, problem);
}

onSubmit($("form", confirmDialog), async (input) => {
  await confirmed(input);
});

async function deleteCertificate(certificate) {
  const path = `certificates/${certificate.id}`;
  const heading = `Delete ${certificate.name}?`;
  let preview;
  try {
    preview = await call("DELETE", path, { query: { dry_run: true } });
  } catch (problem) {
    // The default is never deleted: its devices would be without one. The problem says what to do first.
    if (problem.code !== "default_certificate_required") throw problem;
    ask({ heading: `${certificate.name} cannot be deleted`, consequences: [], problem });
    return;
  }
  const moved = preview.reassigned_devices;
  ask({
    heading,
    label: "Delete",
    consequences: moved.length === 0
      ? [h("p", {}, "No device names it. Certificate and private key are removed for good.")]
      : [
        h("p", {}, "Certificate and private key are removed for good."),
        h("p", { class: "warning" }, icon("warning"),
          ` ${count(moved.length, "device")} will use the default certificate, ${preview.now_using.name}: their servers must trust that one.`),
        deviceRefs(moved),
      ],
    action: async () => {
      await call("DELETE", path, { ifMatch: etagOf(certificate) });
      confirmDialog.close();
      drawer.close();
      await Promise.all([certificates.load(), devices.load()]);
      say(`${certificate.name} is deleted.`);
    },
  });
}

async function changeDefault(certificate, force = false) {
  const json = { id: certificate.id, force };
  let preview;
  try {
    preview = await call("PUT", "certificates/default", { query: { dry_run: true }, json });
  } catch (problem) {
    if (problem.code !== "certificate_not_usable") throw problem;
    ask({
      heading: `Make ${certificate.name} the default?`,
      consequences: [],
      problem,
      label: "Make it the default anyway…",
      action: () => changeDefault(certificate, true),
    });
    return;
  }
  const affected = preview.affected_devices;
  ask({
    heading: `Make ${certificate.name} the default?`,
    label: "Make it the default",
    consequences: [
      h("p", {}, `The default now is ${preview.previous_default.name}. Devices without a certificate of their own use the default.`),
      ...(affected.length === 0 ? [h("p", { class: "muted" }, "No device uses the default at the moment.")] : [
        h("p", { class: "warning" }, icon("warning"), ` ${count(affected.length, "device")} will present this certificate: their servers must trust it.`),
        deviceRefs(affected),
      ]),
    ],
    action: async () => {
      await call("PUT", "certificates/default", { json });
      confirmDialog.close();
      await Promise.all([certificates.load(), devices.load(), redraw(certificate.id)]);
      say(`${certificate.name} is the default now.`);
    },
  });
}

/** Needs the permission download_private_key, and is recorded. Under a passphrase it is sent by POST: no secret stands in an address. */
async function takeKeyOut(certificate) {
  ask({
    heading: `Take the private key of ${certificate.name} out?`,
    label: "Download the private key",
    consequences: [
      h("p", { class: "warning" }, icon("warning"), " For a backup only: whoever has this file can impersonate Koios. A server never needs it."),
      field("Encrypt it under a passphrase (recommended)",
        { name: "passphrase", id: "confirm-passphrase", type: "password", autocomplete: "new-password" }),
    ],
    action: async (input) => {
      const passphrase = input.passphrase.value;
      const options = passphrase === "" ? {} : { method: "POST", json: { passphrase } };
      await download(`certificates/${certificate.id}/private-key.pem`, options);
      confirmDialog.close();
    },
  });
}

// -------------------------------------------------------------------------------------------------------- 7  Devices

const devices = new List({
  path: "devices",
  noun: "device",
  empty: "There is no device yet.",
  row: (device) => tableRow(
    ["Name", [
      button(device.name, () => openDevice(device.id), { class: "link", "data-key": "open" }),
      device.description && h("span", { class: "muted line" }, device.description),
    ], { class: "name-cell" }],
    ["Endpoint", device.endpoint_url, { class: "address" }],
    ["Security", [
      word(device.security_mode),
      device.security_mode !== "none" && h("span", { class: "muted line" }, policy(device.security_policy)),
    ], { class: "security" }],
    ["Certificate", effectiveCertificate(device)],
    ["State", [
      badge(device.status.state),
      device.status.error_message && h("span", { class: "muted line" }, device.status.error_message),
      // Insecure settings are named wherever the device is shown.
      device.warnings.map((warning) => h("span", { class: "line insecure" }, icon("warning"), " ", warning.message)),
    ]],
    ["", h("div", { class: "actions" },
      button("Test", () => openDevice(device.id, { test: true }), { "data-key": "test", "aria-label": `Test ${device.name}` }),
      button(device.enabled ? "Disable" : "Enable", () => enableDevice(device, !device.enabled), {
        "data-key": "enable", "aria-label": `${device.enabled ? "Disable" : "Enable"} ${device.name}`,
      }),
      button("Delete…", () => deleteDevice(device), { "data-key": "delete", "aria-label": `Delete ${device.name}` }))],
  ),
});

/** Security policies keep the name that stands in their URI. */
const policy = (name) => (name === "auto" ? "Best one offered" : name);

/** What it really presents: its own, else the default, none in mode None. */
function effectiveCertificate({ effective_certificate: certificate }) {
  if (!certificate) return "–";
  const bad = certificate.statuses.filter((status) => status !== "valid");
  return [certificate.name, certificate.is_default && h("span", { class: "muted" }, " (default)"), bad.length > 0 && badges(bad)];
}

async function enableDevice(device, enabled) {
  await call("POST", `devices/${device.id}/${enabled ? "enable" : "disable"}`);
  await devices.load();
}

async function deleteDevice(device) {
  ask({
    heading: `Delete ${device.name}?`,
    label: "Delete",
    consequences: [h("p", {}, `Koios forgets ${device.endpoint_url} and closes its session first. The certificate stays.`)],
    action: async () => {
      await call("DELETE", `devices/${device.id}`, { ifMatch: etagOf(device) });
      confirmDialog.close();
      await Promise.all([devices.load(), certificates.load()]);
      say(`${device.name} is deleted.`);
    },
  });
}

const deviceDialog = $("#device");
const deviceForm = $("form", deviceDialog);
// The stored device that is edited, with its ETag; null for a new one.
let editing = null;
let testing = null;

async function openDevice(id = null, { test = false } = {}) {
  editing = id && await readForChange(`devices/${id}`);
  const device = editing?.resource;
  await fillCertificates(device?.certificate_id ?? null);
  openDialog(deviceDialog);
  $("#device-heading").textContent = device ? device.name : "Add a device";
  $("#test").hidden = true;
  if (device) fillDevice(device);
  else $("#device-certificate").value = "";
  $("[data-device-warnings]", deviceDialog).replaceChildren(
    ...(device?.warnings ?? []).map((warning) => h("p", { class: "warning" }, icon("warning"), " ", warning.message)));
  showWhatApplies();
  if (test) await testDevice();
}

/** All certificates, and first of all the choice of none, which means the default. */
async function fillCertificates(chosen) {
  const options = [];
  let name = "none yet";
  for await (const certificate of everything("certificates", { sort: "name" })) {
    if (certificate.is_default) name = certificate.name;
    const bad = certificate.statuses.filter((status) => status !== "valid").map(word);
    const text = bad.length > 0 ? `${certificate.name} (${bad.join(", ")})` : certificate.name;
    options.push(h("option", { value: certificate.id }, text));
  }
  $("#device-certificate").replaceChildren(h("option", { value: "" }, `The default (${name})`), ...options);
  $("#device-certificate").value = chosen ?? "";
}

function fillDevice(device) {
  const input = deviceForm.elements;
  for (const name of ["name", "endpoint_url", "description", "scan_rate_seconds", "timeout_seconds"]) input[name].value = device[name] ?? "";
  for (const name of ["security_mode", "security_policy", "server_certificate_policy"]) choose(input[name], device[name]);
  input.certificate_id.value = device.certificate_id ?? "";
  input.server_host_name_check.checked = device.server_host_name_check;
  input.enabled.checked = device.enabled;
  choose(input.user_type, device.user_identity.type);
  input.username.value = device.user_identity.username ?? "";
}

/** A word that this page does not offer, such as a policy of a newer version, must survive being shown and saved. */
function choose(select, value) {
  if (![...select.options].some((option) => option.value === value)) select.append(h("option", { value }, value));
  select.value = value;
}

function showWhatApplies() {
  const input = deviceForm.elements;
  const secure = input.security_mode.value !== "none";
  // In mode None a certificate is kept, unused and not counted: there is nothing to choose (R11).
  for (const name of ["certificate_id", "security_policy"]) input[name].disabled = !secure;
  $("#device-generate").disabled = !secure;
  $("#device-certificate-hint").textContent = secure
    ? "The server must trust it."
    : "Security mode None needs no certificate.";
  const username = input.user_type.value === "username";
  toggle(deviceForm, "[data-username-only]", username);
  const stored = editing?.resource.user_identity.password_set ?? false;
  toggle(deviceForm, "[data-stored-password-only]", stored);
  $("#device-password-hint").textContent = stored
    ? "One is stored. Leave this blank to keep it; another host, port, or a weaker setting needs it again."
    : "Stored encrypted, and never shown again.";
}

deviceForm.addEventListener("change", showWhatApplies);

/** What the form says, as a request says it. */
function deviceValues() {
  const input = deviceForm.elements;
  return {
    name: trimmed(input.name),
    endpoint_url: trimmed(input.endpoint_url),
    description: textOrNull(input.description),
    security_mode: input.security_mode.value,
    security_policy: input.security_policy.value,
    certificate_id: input.certificate_id.value || null,
    user_identity: userIdentity(input),
    server_certificate_policy: input.server_certificate_policy.value,
    server_host_name_check: input.server_host_name_check.checked,
    scan_rate_seconds: numberOrNothing(input.scan_rate_seconds),
    timeout_seconds: numberOrNothing(input.timeout_seconds),
  };
}

/** A password is never answered, only `password_set`. Left out it is kept, `null` removes it. */
function userIdentity(input) {
  if (input.user_type.value === "anonymous") return { type: "anonymous" };
  const identity = { type: input.user_type.value, username: input.username.value };
  if (input.password.value !== "") identity.password = input.password.value;
  else if (input.remove_password.checked) identity.password = null;
  return identity;
}

/** What differs from the stored device: PATCH is a JSON Merge Patch (RFC 7396), and a Test takes the same as overrides. */
function deviceChanges(device) {
  const values = deviceValues();
  const { type, username } = values.user_identity;
  const same = !("password" in values.user_identity)
    && type === device.user_identity.type && (username ?? null) === (device.user_identity.username ?? null);
  if (same) delete values.user_identity;
  return Object.fromEntries(Object.entries(values).filter(([name, value]) => value !== undefined && value !== device[name]));
}

onSubmit(deviceForm, async (input) => {
  const enabled = input.enabled.checked;
  const done = `${editing ? "Changed" : "Added"}: ${trimmed(input.name)}.`;
  if (!editing) {
    await call("POST", "devices", { json: { ...deviceValues(), enabled } });
  } else {
    const { resource: device, etag } = editing;
    try {
      const json = deviceChanges(device);
      if (Object.keys(json).length > 0) {
        const response = await send("PATCH", `devices/${device.id}`, { json, ifMatch: etag });
        editing = { resource: await response.json(), etag: response.headers.get("ETag") };
      }
    } catch (problem) {
      throw problem.code === "revision_mismatch" ? changedMeanwhile(problem) : problem;
    }
    // After its creation, a device is enabled and disabled by calls of their own.
    if (enabled !== device.enabled) await call("POST", `devices/${device.id}/${enabled ? "enable" : "disable"}`);
  }
  deviceDialog.close();
  await Promise.all([devices.load(), certificates.load()]);
  say(done);
});

// The `+` (R12): made from within the form, and chosen in it.
$("#device-generate").addEventListener("click", () => openGenerate(async (made) => {
  await fillCertificates(made.id);
  showWhatApplies();
  $("#device-certificate-hint").textContent = `${made.name} is generated and selected. The server must trust it.`;
  $("#device-certificate").focus();
}));

// Test (R13, R14): one attempt with the values of the form, saved or not. It changes nothing.
$("#device-test").addEventListener("click", () => attempt(testDevice));

async function testDevice() {
  hideProblem(deviceDialog);
  testing?.abort();
  const controller = testing = new AbortController();
  const place = $("[data-report]", deviceDialog);
  $("#test").hidden = false;
  place.setAttribute("aria-busy", "true");
  place.replaceChildren(h("p", { class: "muted" }, "Connecting…"));
  try {
    const report = await call("POST", editing ? `devices/${editing.resource.id}/test` : "devices/test", {
      json: editing ? deviceChanges(editing.resource) : unsavedDevice(),
      signal: controller.signal,
    });
    // 200 whatever came of it: the verdict is in the report. Only a bad request is a problem.
    place.replaceChildren(...testReport(report));
    $("#test").scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (testing === controller) $("#test").hidden = true;
    throw error;
  } finally {
    if (testing === controller) {
      place.removeAttribute("aria-busy");
      testing = null;
    }
  }
}

/** A Test needs no name. */
function unsavedDevice() {
  const { name, ...values } = deviceValues();
  return name === "" ? values : { name, ...values };
}

// Koios gives an attempt up when nobody waits for its answer any more.
deviceDialog.addEventListener("close", () => testing?.abort());

function testReport(report) {
  const success = report.outcome === "success";
  return [
    h("p", { class: success ? "verdict good" : "verdict bad" },
      icon(success ? "check" : "cross"), " ", h("strong", {}, report.message),
      " ", h("span", { class: "muted" }, `${report.duration_ms.toFixed(0)} ms`)),
    ...(report.detail ? [h("p", {}, report.detail)] : []),
    ...(report.causes.length > 0 ? [h("h4", {}, "What may be behind it"), h("ul", { class: "causes" }, report.causes.map(cause))] : []),
    ...(report.remedy.length > 0 ? [h("h4", {}, "What to do"), h("ol", { class: "remedy" }, report.remedy.map(remedy))] : []),
    h("h4", {}, "Stages"),
    h("ol", { class: "stages" }, report.stages.map(stage)),
    facts([
      ["Endpoint", report.endpoint && `${report.endpoint.url} (${word(report.endpoint.security_mode)}, ${report.endpoint.security_policy})`],
      ["Server", report.server && `${report.server.application_name} (${report.server.application_uri})`],
      ["Server certificate", report.server?.certificate && h("span", {}, report.server.certificate.subject, " ",
        h("code", { class: "thumbprint" }, report.server.certificate.thumbprint_sha1))],
      ["Our certificate", report.client_certificate && h("span", {}, report.client_certificate.name ?? "", " ",
        h("code", { class: "thumbprint" }, report.client_certificate.thumbprint_sha1 ?? ""))],
      ["Clock", report.clock_offset_ms !== null ? `the server's is ${report.clock_offset_ms} ms off ours` : null],
      ["Code", h("code", {}, [report.code, report.status_code].filter(Boolean).join(" · "))],
      ["Reported by", report.reported_by && word(report.reported_by)],
    ]),
  ];
}

/** All stages come, in order: those after the one that failed are skipped. */
function stage({ stage: name, outcome, duration_ms: duration, detail }) {
  return h("li", { class: "stage", "data-stage": name, "data-outcome": outcome },
    badge(outcome), h("span", { class: "stage-name" }, word(name)),
    h("span", { class: "muted number" }, outcome === "skipped" ? "" : `${duration.toFixed(1)} ms`),
    detail && h("span", { class: "muted stage-detail" }, detail));
}

function cause({ confidence, explanation, evidence }) {
  return h("li", {}, h("span", { class: "tag" }, word(confidence)), " ", explanation,
    evidence.length > 0 && h("ul", { class: "muted" }, evidence.map((line) => h("li", {}, line))));
}

/** `link` is a place of this API where the thing can be done, or null. */
function remedy({ text, link }) {
  const item = h("li", {}, text);
  // Links may begin with the setting `public_url`; what counts is what follows /api/v1/.
  const path = link?.split("/api/v1/")[1];
  if (path?.endsWith("/certificate.der")) item.append(" ", button("Download it (.der)", () => download(path)));
  else if (path?.endsWith("/trust-guide")) {
    item.append(" ", button("Show the steps", async (event) => event.target.replaceWith(trustGuide(await call("GET", path)))));
  } else if (path) item.append(" ", h("code", {}, `GET /api/v1/${path}`));
  return item;
}

/** How trust is given to a certificate differs by product (R18). */
function trustGuide(guide) {
  return h("div", { class: "guide" },
    h("p", {}, h("strong", {}, guide.product.name)),
    h("ol", {}, guide.steps.map((step) => h("li", {}, step))),
    facts([
      ["Rejected certificates lie in", guide.rejected_location],
      ["This one under the name", guide.rejected_file_name],
      ["Trusted ones belong in", guide.trusted_location],
      ["Notes", guide.notes],
    ]));
}

// ------------------------------------------------------------------------------------------- 8  Staying up to date

const POLL_MS = 5_000;
// Events tell what Koios does. That somebody has taken a file from the disk shows when it is asked.
const SLOW_POLL_MS = 60_000;

// An EventSource hands over only the types that it is asked for: a page that does not know a type does not see it.
const EVENT_TYPES = [
  "certificate.created", "certificate.updated", "certificate.regenerated", "certificate.deleted",
  "certificate.default_changed", "certificate.expiring", "certificate.expired",
  "device.created", "device.updated", "device.deleted", "device.status_changed",
  "server_certificate.seen", "server_certificate.changed", "server_certificate.rejected",
];

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function loadAll() {
  await Promise.all([certificates.load(), devices.load(), drawn && redraw(drawn.resource.id)]);
}

/** As long as this token is in use: events, and polling while no stream can be had. */
async function stayUpToDate(session) {
  for (;;) {
    let ticket = null;
    try {
      // An EventSource cannot send a header. So that the token stays out of its address, it gets a ticket, good for one connection.
      ticket = (await call("POST", "events/ticket")).ticket;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (session.ended) return;
      // A daemon without events.
      if (problem.status === 404 || problem.status === 405) return poll(session);
    }
    if (session.ended) return;
    if (ticket) {
      await listen(ticket, session);
      if (session.ended) return;
    }
    showLive("reconnecting…");
    await pause(POLL_MS);
    if (session.ended) return;
  }
}

/**
 * Until the connection ends. The browser would connect again by itself, with a ticket that is used up; so this page does it,
 * and says where it stopped: what happened since is told then, or an event `reset` says that too much did.
 */
function listen(ticket, session) {
  return new Promise((resolve) => {
    const since = session.lastEvent;
    const source = new EventSource(apiUrl("events", { ticket, last_event_id: since }));
    const slowly = setInterval(() => document.hidden || attempt(loadAll), SLOW_POLL_MS);
    session.lastEvent = null;
    const end = () => {
      source.close();
      clearInterval(slowly);
      resolve();
    };
    session.onEnd = end;
    source.onerror = end;
    source.onopen = () => {
      session.lastEvent = since;
      showLive("live");
      // What happened before the connection stood is in no event, unless it goes on where another one stopped.
      if (since === null) attempt(loadAll);
    };
    const on = (type, action) => source.addEventListener(type, (event) => {
      session.lastEvent = event.lastEventId || null;
      action(JSON.parse(event.data).resource);
    });
    on("reset", () => attempt(loadAll));
    for (const type of EVENT_TYPES) on(type, (resource) => note(type, resource));
  });
}

// Many events may come at once, as when a server with a hundred devices restarts: they are worked off together.
const changed = { certificates: new Set(), devices: new Set(), lists: new Set() };
let workingOff = null;

function note(type, resource) {
  const [kind, what] = type.split(".");
  // Server certificates are not on this page.
  if (kind === "server_certificate") return;
  if (type === "device.status_changed" && resource) changed.devices.add(resource.id);
  else if (kind === "device") changed.lists.add(devices).add(certificates);
  else if (kind === "certificate") {
    if (resource) changed.certificates.add(resource.id);
    // Devices show which certificate they use, and how that one is.
    if (what === "updated") changed.lists.add(certificates);
    else changed.lists.add(certificates).add(devices);
  }
  workingOff ??= setTimeout(() => attempt(workOff), 250);
}

async function workOff() {
  workingOff = null;
  const lists = [...changed.lists];
  const shown = [...changed.certificates];
  const rows = changed.devices.size > 20 ? [] : [...changed.devices];
  if (changed.devices.size > 20 && !lists.includes(devices)) lists.push(devices);
  for (const set of Object.values(changed)) set.clear();
  const gone = (problem) => {
    // Deleted since the event was sent.
    if (problem.code !== "not_found") throw problem;
  };
  await Promise.all([
    ...lists.map((list) => list.load()),
    ...(lists.includes(devices) ? [] : rows.map((id) => devices.refresh(id).catch(gone))),
    ...shown.map((id) => redraw(id)),
  ]);
}

async function poll(session) {
  showLive(`every ${POLL_MS / 1000} s`);
  while (!session.ended) {
    await pause(POLL_MS);
    if (session.ended || document.hidden) continue;
    try {
      await loadAll();
      showLive(`every ${POLL_MS / 1000} s`);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      showLive("Koios cannot be reached");
    }
  }
}

function showLive(text) {
  $("#live").textContent = `Updates: ${text}`;
}

// --------------------------------------------------------------------------------------- 9  The token, and the start

let session = null;

async function signIn() {
  // Any call tells whether the token is good; this one also tells what runs here.
  const system = await call("GET", "system");
  sessionStorage.setItem(TOKEN_KEY, token);
  $("#system").textContent = `${system.version} on ${system.system_hostname}`;
  for (const element of document.querySelectorAll("[data-system-hostname]")) element.textContent = system.system_hostname;
  showWorkspace(true);
  session = { ended: false, onEnd: null, lastEvent: null };
  await attempt(loadAll);
  if (session) stayUpToDate(session);
}

/** Forgets the token; with a problem when Koios has refused it. */
function signOut(problem = null) {
  token = null;
  sessionStorage.removeItem(TOKEN_KEY);
  if (session) {
    session.ended = true;
    session.onEnd?.();
    session = null;
  }
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  certificates.clear();
  devices.clear();
  $("#messages").replaceChildren();
  $("#system").textContent = "";
  showWorkspace(false);
  if (problem) showProblem($("#sign-in"), problem);
}

function showWorkspace(shown) {
  $("#sign-in").hidden = shown;
  for (const id of ["workspace", "live", "refresh", "sign-out"]) $(`#${id}`).hidden = !shown;
  if (!shown) $("#sign-in input").focus();
}

onSubmit($("#sign-in-form"), async (input) => {
  token = trimmed(input.token);
  // What a header cannot carry is no token; fetch would throw.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new Problem({ status: 0, code: "unauthenticated", title: "This is no token.", detail: "A token is one word of ASCII characters." });
  }
  await signIn();
  $("#sign-in-form").reset();
});

$("#sign-out").addEventListener("click", () => {
  signOut();
  hideProblem($("#sign-in"));
});
$("#refresh").addEventListener("click", () => attempt(loadAll));
$("#open-generate").addEventListener("click", () => openGenerate(async (made) => {
  await openDrawer(made.id);
  tell(drawer, "Generated. Download the .der and import it into the trust lists of your servers.");
}));
$("#open-upload").addEventListener("click", () => attempt(() => openUpload()));
$("#open-device").addEventListener("click", () => attempt(() => openDevice()));
for (const dialog of [generateDialog, uploadDialog]) {
  $("[name=make_default]", dialog).addEventListener("change", () => showDefaultWarning(dialog));
}

if (token === null) showWorkspace(false);
else {
  signIn().catch((problem) => {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401) return;
    showWorkspace(false);
    showProblem($("#sign-in"), problem);
  });
}
