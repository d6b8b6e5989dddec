"use strict";
// One run in a drawer: its curve, its attempts, its notes, what differs between runs, what is equal in all.
// An address that ends in #run=NAME opens it. Returns the function that opens it.
const drawerOf = (kept, runs, make, shown, hide) => {
  const dialog = make("dialog", undefined, document.body);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  const address = (hash) => {
    try { history.replaceState(null, "", location.href.split("#")[0] + hash); } catch { /* a page within a page */ }
  };
  dialog.addEventListener("close", () => address(""));

  const curve = ([steps, losses], parent) => {
    const w = 560, h = 190, left = 46, bottom = 26;
    const scale = (values, low, high) => {
      const a = Math.min(...values), b = Math.max(...values);
      return (v) => low + (high - low) * (b > a ? (v - a) / (b - a) : 0.5);
    };
    const sorted = [...losses].sort((a, b) => a - b);
    const top = sorted[0] + 2 * (sorted[Math.floor(0.75 * (sorted.length - 1))] - sorted[0]);
    const kept = losses.map((v) => Math.min(v, top));
    const x = scale(steps, left, w - 6), y = scale(kept.map(Math.log), h - bottom, 8);
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
    const add = (tag, attributes, text) => {
      const element = document.createElementNS(space, tag);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      if (text !== undefined) element.textContent = text;
      svg.append(element);
    };
    const points = steps.map((s, k) => `${x(s).toFixed(1)},${y(Math.log(kept[k])).toFixed(1)}`).join(" ");
    add("polyline", { points, fill: "none", stroke: "#0072B2", "stroke-width": 1.6 });
    const label = { fill: "currentColor", "font-size": 11 };
    add("text", { ...label, x: 0, y: h - bottom }, Math.min(...kept).toPrecision(4));
    add("text", { ...label, x: 0, y: 14 }, Math.max(...kept).toPrecision(4));
    add("text", { ...label, x: left, y: h - 8 }, "step " + shown(steps[0]));
    add("text", { ...label, x: w - 6, y: h - 8, "text-anchor": "end" }, shown(steps[steps.length - 1]));
    parent.append(svg);
  };

  // A recipe is one text of many settings: name -> value, with dots between the names of groups.
  const settings = (text) => {
    const found = new Map();
    const enter = (value, name) => {
      if (value !== null && typeof value === "object" && !Array.isArray(value))
        for (const [key, inner] of Object.entries(value)) enter(inner, name ? name + "." + key : key);
      else found.set(name, Array.isArray(value) ? value.join(", ") : value);
    };
    try { enter(JSON.parse(text), ""); } catch { found.set("recipe", text); }
    return found;
  };
  const several = (values) => new Set(values.map((value) => JSON.stringify(value))).size > 1;
  let differs = null;
  const compare = () => {
    differs = new Set(kept.columns.filter((_, k) => Array.isArray(kept.values[k])
      ? several(kept.values[k]) : kept.values[k].of.length > 1));
    const packed = kept.values[kept.columns.indexOf("recipe")];
    const every = [...new Set(packed === undefined ? [] : Array.isArray(packed) ? packed : packed.of)]
      .filter((text) => typeof text === "string").map(settings);
    for (const name of new Set(every.flatMap((one) => [...one.keys()])))
      if (several(every.map((one) => one.get(name) ?? null))) differs.add(name);
  };
  const rowsOf = (row) => {
    const rows = new Map();
    kept.columns.forEach((column, k) => {
      if (column !== "recipe" && row[k] !== null && row[k] !== "") rows.set(column, row[k]);
    });
    const recipe = row[kept.columns.indexOf("recipe")];
    for (const [name, value] of typeof recipe === "string" ? settings(recipe) : [])
      if (!rows.has(name) && value !== null && value !== "") rows.set(name, value);
    return [...rows];
  };
  const list = (title, rows) => {
    if (!rows.length) return;
    make("h4", title, dialog);
    const entries = make("dl", undefined, dialog);
    for (const [name, value] of rows) {
      make("dt", name, entries);
      make("dd", shown(value, name), entries);
    }
  };
  const attempts = (rows) => {
    if (!rows) return;
    make("h4", rows.length > 1 ? "Attempts" : "Attempt", dialog);
    const lines = make("ol", undefined, dialog);
    for (const [started, ended, state, error] of rows)
      make("li", `${started}${ended ? " to " + ended : ""} UTC: ${state}${error ? ". " + error : ""}`, lines);
  };

  const open = (name) => {
    const row = runs.rows[name];
    if (!row) return;
    hide();
    if (dialog.open) dialog.close();
    if (differs === null) compare();
    dialog.replaceChildren();
    const head = make("div", undefined, dialog);
    head.className = "head";
    make("a", "run " + name, make("h3", undefined, head)).href = "#run=" + encodeURIComponent(name);
    const close = make("button", "close", head);
    close.autofocus = true; // at the top: what has the focus is scrolled to
    close.addEventListener("click", () => dialog.close());
    if (runs.curves[name]) {
      make("p", "Validation loss (nats/token):", dialog);
      curve(runs.curves[name], dialog);
    } else if (kept.curves_in) {
      make("p", "The curves of so many runs are not in this file. This one is", dialog);
      make("pre", `analysis.load_curves(${JSON.stringify(kept.curves_in)}, run_ids=[${JSON.stringify(name)}])`, dialog);
    }
    attempts(kept.attempts[name]);
    const rows = rowsOf(row);
    list("What differs between runs", rows.filter(([column]) => differs.has(column)));
    list("The same in all runs", rows.filter(([column]) => !differs.has(column)));
    dialog.showModal();
    dialog.scrollTop = 0;
    address("#run=" + encodeURIComponent(name));
  };
  const asked = () => {
    const found = location.hash.match(/^#run=(.+)$/);
    if (found) open(decodeURIComponent(found[1]));
  };
  addEventListener("hashchange", asked);
  asked();
  return open;
};
