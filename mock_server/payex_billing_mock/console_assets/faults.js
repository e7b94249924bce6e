import { ask, attempt, counted, keyed, make, press, setText } from "./dom.js";

const form = document.getElementById("fault-form");
const active = document.getElementById("active");
const kinds = new Map();
let show = () => {};

export async function startFaults(onState) {
  show = onState;
  for (const button of document.querySelectorAll("button[data-fault]")) {
    button.addEventListener("click", () => attempt(async () => show(await press("fault", JSON.parse(button.dataset.fault)))));
  }
  for (const kind of await ask("/console/kinds")) {
    kinds.set(kind.kind, kind);
    form.elements.kind.append(make("option", { text: kind.kind, value: kind.kind }));
  }
  form.elements.kind.addEventListener("change", showKind);
  form.elements.lasts.addEventListener("change", showFields);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => show(await press("fault", filledIn())));
  });
  showKind();
  setInterval(showTimeLeft, 500);
}

function field(name, isShown) {
  form.querySelector(`[data-for="${name}"]`).hidden = !isShown;
  form.elements[name].disabled = !isShown;
}

function showKind() {
  const kind = kinds.get(form.elements.kind.value);
  const meaning = kind.meaning[0].toUpperCase() + kind.meaning.slice(1);
  document.getElementById("meaning").textContent = `${meaning}.`;
  form.querySelector('[data-for="value"] span').textContent = kind.label ?? "Value";
  form.elements.value.value = kind.value ?? "";
  showFields();
}

function showFields() {
  const kind = kinds.get(form.elements.kind.value);
  field("status", kind.kind.startsWith("STATUS"));
  field("value", kind.label !== undefined);
  field("seconds", form.elements.lasts.value === "seconds");
  field("chance", form.elements.lasts.value !== "next");
}

function filledIn() {
  const values = new FormData(form);
  return {
    kind: values.get("kind").replace("STATUS", values.get("status") ?? ""),
    value: values.get("value") ?? "",
    methods: values.getAll("methods"),
    lasts: values.get("lasts"),
    seconds: Number(values.get("seconds") ?? 0),
    chance: Number(values.get("chance") ?? 100) / 100,
  };
}

export function showFaults(faults) {
  keyed(active, faults, (fault) => `${fault.number} ${fault.text}`, newFault);
  setText(document.getElementById("fault-count"), faults.length ? `${counted(faults.length, "fault")}.` : "None.");
  document.getElementById("calm").hidden = faults.length < 2;
  showTimeLeft();
}

function newFault(fault) {
  const end = make("button", { type: "button", class: "small", text: "End", "aria-label": `End ${fault.text}` });
  end.addEventListener("click", () => attempt(async () => {
    show(await press("end", { number: fault.number }));
    document.getElementById("fault-count").focus(); // the button is gone
  }));
  const item = make("li", {}, make("code", { text: fault.text }), make("span", { class: "when" }), end);
  if (fault.secondsLeft !== null) item.dataset.ends = String(Date.now() + fault.secondsLeft * 1000);
  item.dataset.until = fault.isNext ? "meets the next request" : "until you end it";
  return item;
}

function showTimeLeft() {
  for (const item of active.children) {
    const seconds = Math.ceil((Number(item.dataset.ends) - Date.now()) / 1000);
    const text = item.dataset.ends ? `${Math.max(seconds, 0)} s left` : item.dataset.until;
    item.querySelector(".when").textContent = text;
  }
}
