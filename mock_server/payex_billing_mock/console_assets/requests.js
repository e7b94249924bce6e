import { ask, keyed, make } from "./dom.js";

const FEW = 20;
const list = document.getElementById("requests");
const more = document.getElementById("more-requests");
let basePath = "", requests = [], isLong = false;

export function showRequests(state) {
  ({ basePath, requests } = state);
  document.getElementById("no-requests").hidden = requests.length > 0;
  more.hidden = requests.length <= FEW;
  more.textContent = isLong ? "Show fewer" : `Show the last ${requests.length}`;
  keyed(list, isLong ? requests : requests.slice(0, FEW), (request) => `${request.number} ${request.at}`, newRequest);
}

more.addEventListener("click", () => {
  isLong = !isLong;
  showRequests({ basePath, requests });
});

function newRequest(request) {
  const details = make("details", {}, summary(request));
  const inside = make("div", { class: "inside" });
  details.addEventListener("toggle", () => {
    if (!details.open || inside.isConnected) return;
    details.append(inside);
    open(inside, request);
  });
  return make("li", {}, details);
}

function summary(request) {
  const [text, kind] = request.status === null ? ["no response", "odd"] : [String(request.status), request.status < 400 ? "good" : "bad"];
  const base = request.path.startsWith(basePath) ? basePath : "";
  const path = make("code", {}, make("span", { class: "base" }, ...breakable(base)), ...breakable(request.path.slice(base.length)));
  const facts = make("span", { class: "facts" }, make("time", { datetime: request.at, text: clock(request.at) }),
    make("span", { text: `${request.milliseconds.toFixed(1)} ms` }));
  if (request.problem) facts.append(make("span", { class: "problem", text: request.problem }));
  if (request.fault) facts.append(make("span", { class: "fault", text: `fault ${request.fault} (${request.took_effect ? "took effect" : "no effect"})` }));
  return make("summary", {}, make("span", { class: `status ${kind}`, text }),
    make("span", {}, make("span", { class: "method", text: request.method }), " ", path), facts);
}

// A path that a line may break before each slash.
function breakable(path) {
  return path.split(/(?=\/)/).flatMap((part) => [make("wbr"), part]);
}

// The time of day here, with milliseconds.
function clock(at) {
  const time = new Date(at);
  const two = (value) => String(value).padStart(2, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

async function open(inside, request) {
  try {
    inside.append(...parts(await ask(`/console/request?number=${request.number}`)));
  } catch (error) {
    inside.append(make("p", { text: error instanceof TypeError ? "The mock does not respond." : error.message }));
  }
}

function parts(whole) {
  const shown = [operation(whole.operation)];
  if (whole.problem) {
    shown.push(make("div", { class: "box bad" }, make("p", {}, make("strong", { text: whole.problem.title ?? whole.problem.type })),
      ...(whole.problem.detail ? [make("p", { text: whole.problem.detail })] : [])));
  }
  if (whole.fault) {
    const effect = whole.took_effect ? "The request took effect." : "The request did not take effect.";
    const lost = whole.response === null ? " The client got no complete response." : "";
    shown.push(make("div", { class: "box odd" }, make("p", { text: `Fault ${whole.fault}. ${effect}${lost}` })));
  }
  shown.push(part("Request"), make("p", {}, make("code", { text: `${whole.method} ${whole.target}` })), headers(whole.headers));
  if (whole.body) shown.push(body("Request body", whole.body));
  if (whole.response !== null) {
    shown.push(part(`Response ${whole.status}`), headers(whole.response));
    if (whole.responseBody) shown.push(body("Response body", whole.responseBody));
  }
  return shown;
}

function operation(found) {
  if (found === null) return make("div", { class: "box" }, make("p", { text: "The contract has no such operation." }));
  const href = `/console/contract#/${encodeURIComponent(found.tag)}/${encodeURIComponent(found.id)}`;
  return make("div", { class: "box" }, make("p", {}, make("strong", { text: found.summary || found.id }), " ",
    make("code", { text: found.path }), " ", make("a", { href, text: "See it in the contract" })));
}

const part = (text) => make("h3", { class: "part", text });

function headers(values) {
  return make("dl", { class: "headers" }, ...values.flatMap(({ name, value }) => [make("dt", { text: name }), make("dd", { class: "value", text: value })]));
}

function body(title, text) {
  return make("div", {}, part(title), make("pre", { text, tabindex: "0", role: "region", "aria-label": title }));
}
