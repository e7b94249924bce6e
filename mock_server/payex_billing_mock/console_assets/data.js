import { amount, ask, attempt, count, counted, keyed, make, press, setText } from "./dom.js";

const MORE = 20;
const ledgers = document.getElementById("ledgers");
let columns = [];

export function showLedgers(state) {
  columns = state.columns;
  const numbered = state.ledgers.map((ledger, index) => ({ ...ledger, index, changes: state.changes }));
  keyed(ledgers, numbered, (ledger) => String(ledger.index), newLedger, (section, ledger) => section.show(ledger));
}

function newLedger({ index, no }) {
  const title = make("h3", { id: `ledger-${index}` });
  const counts = make("dl", { class: "counts" });
  const money = make("div");
  const input = make("input", { type: "search", autocomplete: "off", spellcheck: "false" });
  const search = make("label", { class: "search" }, "Search for a number of a customer, subscription or charge", input);
  const found = make("p", { class: "note found" });
  const customers = make("div", { class: "list" });
  const more = make("button", { type: "button", text: `Show ${MORE} more` });
  const none = make("p", { class: "note", text: "This ledger is empty. Point a client at it, or load a sample." });
  const own = exports(index, no);
  const section = make("section", { "aria-labelledby": title.id }, title, none, own, counts, money, search, found, customers, more);
  let most = MORE, changes = -1, isEmpty = null, isBusy = false, isLate = false;

  async function look() {
    isLate = isBusy;
    if (isBusy) return;
    isBusy = true;
    const query = new URLSearchParams({ ledger: index, search: input.value, most });
    try {
      showFound(await ask(`/console/customers?${query}`));
    } catch {
      changes = -1; // the next event looks again
    }
    isBusy = false;
    if (isLate) look();
  }

  function showFound(result) {
    const shown = result.customers.length;
    const matching = `${counted(result.found, "customer")}${input.value ? " found" : ""}`;
    found.setAttribute("aria-live", input.value ? "polite" : "off"); // read aloud the result of a search only
    setText(found, shown < result.found ? `${matching}, the latest ${count(shown)} shown` : matching);
    more.hidden = shown === result.found || shown < most;
    keyed(customers, result.customers, (customer) => customer.no, (customer) => newCustomer(index, customer), (details, customer) => details.show(customer, changes));
  }

  section.show = (ledger) => {
    if (ledger.changes === changes) return;
    changes = ledger.changes;
    title.textContent = `Ledger ${ledger.no}`;
    if (isEmpty !== (ledger.customers === 0)) {
      isEmpty = ledger.customers === 0;
      own.open = isEmpty;
      none.hidden = !isEmpty;
      for (const part of [counts, search, found, customers, more]) part.hidden = isEmpty;
    }
    counts.replaceChildren(...["customers", "subscriptions", "charges"].map((name) =>
      make("div", {}, make("dt", { text: name }), make("dd", { text: count(ledger[name]) }))));
    money.replaceChildren(...(ledger.charges ? byMonth(ledger.money) : []));
    if (!isEmpty) look();
    else customers.replaceChildren();
  };
  input.addEventListener("input", () => {
    most = MORE;
    look();
  });
  more.addEventListener("click", () => {
    most += MORE;
    look();
  });
  return section;
}

function exports(index, no) {
  const lines = (owner, token) => [`export PAYEX_BASE_URL=${location.origin}`, `export PAYEX_OWNER_NO=${owner}`, `export PAYEX_TOKEN=${token}`].join("\n");
  const copy = make("button", { type: "button", class: "small", text: "Copy with the token" });
  const copied = make("span", { role: "status", class: "note" });
  copy.addEventListener("click", () => attempt(async () => {
    const { ownerNo, token } = await press("exports", { ledger: index });
    await navigator.clipboard.writeText(lines(ownerNo, token) + "\n");
    copied.textContent = "Copied.";
  }));
  const shown = make("pre", { text: lines(no, "•••"), tabindex: "0", role: "region", "aria-label": `Environment variables of ledger ${no}` });
  return make("details", { class: "exports" }, make("summary", { text: "Point a client at this ledger" }),
    make("div", { class: "inside" },
      make("p", { class: "note", text: "Paste these lines into the terminal where your program runs. The page hides the token; the copy has it." }),
      shown, make("p", {}, copy, " ", copied)));
}

function byMonth(months) {
  const most = Math.max(...months.map((each) => Math.abs(Number(each.amount))), 0.01);
  const list = make("ul", { class: "money", "aria-label": "Open charges by month, without VAT" });
  for (const each of months) {
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.width = `${(Math.abs(Number(each.amount)) / most) * 100}%`;
    list.append(make("li", {}, make("span", { text: each.month }), bar, make("span", { class: "amount", text: amount(each.amount) })));
  }
  return [make("p", { class: "note", text: "Quantity × unit price of the charges that are open in each month, without VAT:" }), list];
}

function newCustomer(index, { no }) {
  const title = make("summary");
  const inside = make("div", { class: "inside" });
  const details = make("details", {}, title, inside);
  let seen = -1, changes = 0;

  async function look() {
    if (!details.open || seen === changes) return;
    seen = changes;
    try {
      const whole = await ask(`/console/customer?${new URLSearchParams({ ledger: index, no })}`);
      inside.replaceChildren(...charges(whole));
    } catch (error) {
      inside.replaceChildren(make("p", { text: error instanceof TypeError ? "The mock does not respond." : error.message }));
    }
  }

  details.show = (customer, now) => {
    changes = now;
    setText(title, `${customer.no} – ${counted(customer.subscriptions, "subscription")}, ${counted(customer.charges, "charge")}`);
    look();
  };
  details.addEventListener("toggle", look);
  return details;
}

function charges(whole) {
  const idle = whole.subscriptions.filter((no) => !whole.charges.some((charge) => charge.subscription === no));
  const parts = idle.length ? [make("p", { class: "note", text: `Without charges: ${idle.join(", ")}` })] : [];
  if (!whole.charges.length) return [...parts, make("p", { class: "note", text: "No charges." })];
  const isSet = (value) => value !== null && value !== undefined && value !== "";
  const used = columns.filter((column) => whole.charges.some((charge) => isSet(charge[column.name])));
  const heads = [{ title: "Subscription" }, ...used];
  const cell = (value, column) => {
    const text = isSet(value) ? String(value) : "";
    return make("td", { text, class: column.isNumber ? "number" : text.length <= 20 ? "short" : undefined });
  };
  const rows = whole.charges.map((charge) =>
    make("tr", {}, cell(charge.subscription || "–", {}), ...used.map((column) => cell(charge[column.name], column))));
  const head = make("tr", {}, ...heads.map((column) => make("th", { scope: "col", text: column.title, class: column.isNumber ? "number" : undefined })));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  return [...parts, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Charges of customer ${whole.no}` }, table)];
}
