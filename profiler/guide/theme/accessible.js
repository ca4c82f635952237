// What mdBook leaves to be desired by those who use no mouse.

// What is wider than its place scrolls; not in every browser by the keyboard, unless it can be focused.
for (const place of document.querySelectorAll("main pre > code, main .table-wrapper")) {
  if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
}
// A picture is enlarged by a checkbox, which has no name.
for (const checkbox of document.querySelectorAll("main input.checkbox-img")) {
  checkbox.setAttribute("aria-label", "Enlarge the picture");
}
