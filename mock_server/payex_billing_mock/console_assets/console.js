// Shows the state of the mock, which comes as server-sent events, and connects the buttons.
import { attempt, press, setText } from "./dom.js";
import { showFaults, startFaults } from "./faults.js";
import { showLedgers } from "./data.js";
import { showRequests } from "./requests.js";

const connection = document.getElementById("connection");
let events = null;

function show(state) {
  showFaults(state.faults);
  showLedgers(state);
  showRequests(state);
}

function tell(text, kind) {
  setText(connection, text);
  connection.className = kind;
}

// A browser opens at most six connections to one address, so only a visible page keeps one for events.
function connect() {
  events?.close();
  events = null;
  if (document.hidden) return;
  events = new EventSource("/console/events");
  events.addEventListener("open", () => tell("Live", "live"));
  events.addEventListener("message", (event) => show(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    tell("The mock has stopped. This page tries again.", "stopped");
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  });
}

for (const button of document.querySelectorAll("button[data-do]")) {
  button.addEventListener("click", () => attempt(async () => show(await press(button.dataset.do))));
}
const question = document.getElementById("ask");
document.getElementById("reset").addEventListener("click", () => {
  question.returnValue = "cancel";
  question.showModal();
});
question.addEventListener("close", () => {
  if (question.returnValue === "reset") attempt(async () => show(await press("reset")));
});
document.addEventListener("visibilitychange", connect);
await attempt(() => startFaults(show));
connect();
