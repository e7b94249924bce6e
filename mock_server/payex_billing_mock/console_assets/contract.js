"use strict";
// Swagger UI has a dark mode, but does not ask the system for it.
const dark = matchMedia("(prefers-color-scheme: dark)");
const choose = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", choose);
choose();

// Gives a screen reader the names that Swagger UI does not give, and makes each operation one button, without a link in it.
function repair() {
  const names = { select: "Choice", textarea: "Body" };
  for (const [tag, name] of Object.entries(names)) {
    for (const field of document.querySelectorAll(`${tag}:not([aria-label], [aria-labelledby])`)) {
      const label = field.parentElement.querySelector("label, small, span, [class*=label]")?.textContent.trim();
      field.setAttribute("aria-label", label || name);
    }
  }
  for (const link of document.querySelectorAll(".opblock-summary-control a[href]")) link.removeAttribute("href");
  for (const block of document.querySelectorAll("pre.microlight:not([tabindex])")) block.tabIndex = 0;
}
new MutationObserver(repair).observe(document.getElementById("contract"), { childList: true, subtree: true });

if (window.SwaggerUIBundle) {
  SwaggerUIBundle({
    url: "/console/openapi.json",
    dom_id: "#contract",
    deepLinking: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    persistAuthorization: false,
  });
} else {
  document.getElementById("contract").textContent = "Swagger UI is not installed: pip install 'payex-billing[mock]'";
}
