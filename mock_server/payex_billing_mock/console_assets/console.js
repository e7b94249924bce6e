"use strict";
// Shows /console/state, and sends what the buttons ask for. Writes text only, never HTML: any client may have sent it.

const EVERY = 700; // milliseconds between two looks
const open = new Set(); // customers whose charges are unfolded
let shown = "";

function make(tag, options = {}, ...children) {
  const { text, ...attributes } = options;
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function row(cells, tag = "td") {
  return make("tr", {}, ...cells.map(([text, kind]) => make(tag, kind ? { text, class: kind } : { text })));
}

function table(heads, rows) {
  const head = make("thead", {}, row(heads, "th"));
  return make("div", { class: "scroll" }, make("table", {}, head, make("tbody", {}, ...rows.map((each) => row(each)))));
}

const number = (value) => new Intl.NumberFormat("en").format(value);
const blank = (value) => (value === null || value === undefined ? "" : String(value));

function money(months) {
  const most = Math.max(...months.map((each) => Number(each.amount)), 0.01);
  const list = make("ul", { class: "money", "aria-label": "Open charges by month, without VAT" });
  for (const { month, amount } of months) {
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.height = `${(Number(amount) / most) * 6}rem`;
    list.append(make("li", {}, make("span", { text: number(Number(amount)) }), bar, make("span", { text: month })));
  }
  return list;
}

function customer(ledger, each, columns) {
  const key = `${ledger} ${each.no}`;
  const counted = (many, one) => `${many} ${many === 1 ? one : one + "s"}`;
  const count = `${counted(each.subscriptions.length, "subscription")}, ${counted(each.charges.length, "charge")}`;
  const details = make("details", {}, make("summary", { text: `${each.no} – ${count}` }));
  details.open = open.has(key);
  details.addEventListener("toggle", () => (details.open ? open.add(key) : open.delete(key)));
  if (each.charges.length) {
    const kind = (column) => (column.isNumber ? "number" : undefined);
    const heads = [["Subscription"], ...columns.map((column) => [column.title, kind(column)])];
    details.append(table(heads, each.charges.map((charge) => [
      [charge.subscription || "–"], ...columns.map((column) => [blank(charge[column.name]), kind(column)]),
    ])));
  }
  return details;
}

function ledger(each, columns) {
  const counts = make("dl", { class: "counts" });
  for (const name of ["customers", "subscriptions", "charges"]) {
    counts.append(make("div", {}, make("dt", { text: name }), make("dd", { text: number(each[name]) })));
  }
  const parts = [make("h3", { text: `Ledger ${each.no}` }), counts];
  if (each.charges) parts.push(make("p", { text: "Quantity × unit price of the charges open in each month, without VAT:" }), money(each.money));
  if (each.customers > each.latest.length) parts.push(make("p", { text: `The latest ${each.latest.length} customers:` }));
  return [...parts, ...each.latest.map((one) => customer(each.no, one, columns))];
}

function request(each) {
  const status = each.status === null ? "none sent" : String(each.status);
  const kind = each.status === null ? "odd" : each.status < 400 ? "good" : "bad";
  const fault = each.fault ? each.fault + (each.took_effect ? " (took effect)" : " (no effect)") : "";
  return row([[each.at.slice(11, 23)], [`${each.method} ${each.path}`], [status, kind], [blank(each.problem)], [each.milliseconds.toFixed(1), "number"], [fault]]);
}

function show(state) {
  const text = JSON.stringify(state);
  if (text === shown) return;
  shown = text;
  document.getElementById("faults").textContent = state.faults.join(", ") || "none";
  document.getElementById("ledgers").replaceChildren(...state.ledgers.flatMap((each) => ledger(each, state.columns)));
  if (state.requests.length) document.getElementById("requests").replaceChildren(...state.requests.map(request));
  else document.getElementById("requests").replaceChildren(make("tr", {}, make("td", { colspan: "6", text: "None yet. Point a client at this address." })));
}

function say(text) {
  const place = document.getElementById("connection");
  if (place.textContent !== text) place.textContent = text;
}

async function ask(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  show(body);
}

async function look() {
  try {
    await ask("/console/state");
    say("Live");
  } catch (error) {
    say(error instanceof TypeError ? "The mock has stopped." : error.message);
  }
  setTimeout(look, EVERY);
}

for (const button of document.querySelectorAll("button[data-do]")) {
  button.addEventListener("click", async () => {
    if (button.dataset.ask && !confirm(button.dataset.ask)) return;
    try {
      await ask(`/console/do/${button.dataset.do}`, { method: "POST", headers: { "X-Payex-Console": "1" } });
    } catch (error) {
      say(error.message);
    }
  });
}
look();
