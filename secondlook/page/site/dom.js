// Small helpers around the document. Text from messages goes through `textContent` alone.

/** Return a copy of a template's element. */
export function copy(name) {
  const template = document.getElementById(`${name}-template`);
  return template.content.firstElementChild.cloneNode(true);
}

/** Return an element of a kind with a class and a text. */
export function element(kind, name, text = "") {
  const made = document.createElement(kind);
  made.className = name;
  made.textContent = text;
  return made;
}

/** Set a text where it differs, so that nothing flickers and no reader speaks twice. */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Show or hide an element. */
export function show(target, visible) {
  if (target.hidden === visible) target.hidden = !visible;
}

/** Make a list's children what `items` says, keeping those that stay: focus and scrolling stay.
 *
 * @param {Element} list
 * @param {[string, object][]} items Names and values, in order.
 * @param {(name: string, value: object) => Element} make
 * @param {(child: Element, value: object, name: string) => void} update
 */
export function keep(list, items, make, update) {
  const wanted = new Set(items.map(([name]) => name));
  const old = new Map();
  // First, or those behind it would be moved, and what is moved loses the focus.
  for (const child of [...list.children]) {
    if (wanted.has(child.dataset.name)) old.set(child.dataset.name, child);
    else child.remove();
  }
  let before = list.firstElementChild;
  for (const [name, value] of items) {
    let child = old.get(name);
    if (child === undefined) {
      child = make(name, value);
      child.dataset.name = name;
    }
    if (child === before) before = before.nextElementSibling;
    else list.insertBefore(child, before);
    update(child, value, name);
  }
}

/** Show so many items of a section's list, and a button for the rest. */
export function limited(section, items, few, again) {
  const button = section.querySelector(":scope > .more");
  const all = section.dataset.all === "yes";
  show(section.querySelector(":scope > .empty"), items.length === 0);
  show(button, items.length > few);
  say(button, all ? "Show fewer" : `Show all ${items.length}`);
  button.onclick = () => {
    section.dataset.all = all ? "no" : "yes";
    again();
  };
  return all ? items : items.slice(0, few);
}
