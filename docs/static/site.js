"use strict";
// Who has no mouse must be able to scroll a wide table or a long line of code.
for (const region of document.querySelectorAll(".table-wrapper, .highlight pre")) {
  if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
}
