// Small helpers. All texts become text nodes, never HTML: any client may have sent them.

export function make(tag, options = {}, ...children) {
  const { text, ...attributes } = options;
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Shows one child for each value. A child stays as long as its key, so that open parts and the focus stay, too.
export function keyed(parent, values, keyOf, create, update = () => {}) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const children = values.map((value) => {
    const key = keyOf(value);
    const child = before.get(key) ?? create(value);
    before.delete(key);
    child.dataset.key = key;
    update(child, value);
    return child;
  });
  for (const child of before.values()) child.remove();
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text; // a status that is set again would be read again
}

export const count = (value) => new Intl.NumberFormat("en").format(value);
export const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

// Adds the separators of thousands to a number in text form. A JavaScript number would lose digits.
export function amount(text) {
  const [, sign, whole, rest] = /^(-?)(\d+)(.*)$/.exec(text);
  const first = whole.length % 3 || 3;
  return sign + [whole.slice(0, first), ...(whole.slice(first).match(/\d{3}/g) ?? [])].join(",") + rest;
}

export function say(text) {
  setText(document.getElementById("message"), text);
}

export async function ask(path) {
  const response = await fetch(path);
  const body = await response.json();
  if (!response.ok) throw new Error(body.error);
  return body;
}

export async function press(button, body = {}) {
  const headers = { "Content-Type": "application/json", "X-Payex-Console": "1" };
  const response = await fetch(`/console/do/${button}`, { method: "POST", headers, body: JSON.stringify(body) });
  const result = await response.json();
  if (!response.ok) throw new Error(result.error);
  return result;
}

// Runs an action of a button, and shows why it failed.
export async function attempt(action) {
  try {
    say("");
    await action();
  } catch (error) {
    say(error instanceof TypeError ? "The mock does not respond. Is it still running?" : error.message);
  }
}
