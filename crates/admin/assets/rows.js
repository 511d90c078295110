// Rows of tables that are made once and then changed cell by cell: two hundred of them move each second without a flicker.

/** A row with a heading, a badge for its state and an empty cell for each column: `[field, class, label on narrow screens]`. */
export function newRow(name, columns) {
  const element = document.createElement("tr");
  element.role = "row";
  const heading = document.createElement("th");
  heading.role = "rowheader";
  heading.scope = "row";
  heading.title = name;
  heading.append(name);
  element.append(heading);
  const cells = {};
  for (const [field, className, label] of columns) {
    const cell = document.createElement("td");
    cell.role = "cell";
    cell.dataset.field = field;
    cell.className = className;
    if (label) cell.dataset.label = label;
    cells[field] = cell;
    element.append(cell);
  }
  const badge = append(cells.state, "badge");
  return { element, heading, cells, badge };
}

/** A new, empty span. */
export function append(parent, className) {
  const span = document.createElement("span");
  span.className = className;
  parent.append(span);
  return span;
}

/** Touches the page only where something is new. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
