"use strict";
// What a reader adds to a page that is complete without it: values under the pointer, layers hidden by a
// click on the legend, linear axes, sorted tables, runs in a drawer, and files. No library, no network.
(() => {
  const REACH = 16; // pixels from the pointer to a point
  const LINE_REACH = 9;
  document.documentElement.classList.add("scripted");
  const make = (tag, text, parent) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };
  const read = (element) => JSON.parse(element.textContent || "null");
  // Runs are kept column by column, equal values once.
  const kept = read(document.getElementById("runs")) || { columns: [], ids: [], values: [], curves: {} };
  const unpack = (column, count) => Array.isArray(column) ? column
    : Array.from({ length: count }, (_, k) => column.of[column.at.length ? column.at[k] : 0]);
  const unpacked = kept.values.map((column) => unpack(column, kept.ids.length));
  const runs = {
    columns: kept.columns,
    curves: kept.curves,
    rows: Object.fromEntries(kept.ids.map((id, k) => [id, unpacked.map((column) => column[k])])),
  };

  // As the page writes large and small numbers: 3·10¹².
  const raised = (text) => text.replace(/^(.*?)(?:\.?0+)?e\+?(-?\d+)$/, (_, digits, exponent) =>
    (digits === "1" ? "10" : digits + "·10")
    + [...exponent].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] || "⁻").join(""));

  // Parameters and tokens are 82.4k or 2.5B, as in figures.
  const COUNTS = /^(N|D|n_(block|matmul|total|active)|tokens|unique_tokens)$/;
  const UNITS = { k: 1e3, M: 1e6, B: 1e9, T: 1e12 };
  const short = (value) => {
    const [letter, size] = Object.entries(UNITS).findLast(([, one]) => value >= 0.9995 * one) || ["", 1];
    return String(Number((value / size).toPrecision(3))) + letter;
  };
  const shown = (value, name) => {
    if (value === null || value === undefined || value === "") return "";
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value !== "number") return String(value);
    const size = Math.abs(value);
    if (COUNTS.test(name) && size >= 1e7) return short(value);
    if (Number.isInteger(value) && size < 1e7) return value.toLocaleString("en-US");
    if (size >= 1e7 || (size > 0 && size < 1e-3)) return raised(value.toExponential(3));
    return String(Number(value.toPrecision(5))).replace("-", "−");
  };

  const save = (name, text, type) => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };
  // Of a figure of many runs only their names are kept beside it: the page has their values once.
  const values = (layer, row) => {
    const told = layer.columns.length === 1 && layer.columns[0] === "run_id" && runs.rows[row[0]];
    return told ? [["run_id", ...runs.columns], [row[0], ...told]] : [layer.columns, row];
  };
  const csv = (rows) => rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";

  // Values under the pointer.
  const tip = make("div", undefined, document.body);
  tip.className = "tip";
  const hide = () => { tip.style.display = "none"; };
  const show = (event, layer, kept) => {
    const [columns, row] = values(layer, kept);
    tip.replaceChildren();
    const at = columns.indexOf("run_id");
    make("b", at >= 0 ? String(row[at]) : layer.name || layer.kind, tip);
    columns.forEach((name, k) => {
      if (k === at || row[k] === null || row[k] === "") return;
      const line = make("div", undefined, tip);
      make("i", name + " ", line);
      line.append(shown(row[k], name));
    });
    if (at >= 0 && runs.rows[row[at]]) make("i", "click: the run", tip);
    tip.style.display = "block";
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 4)) + "px";
    tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - box.height - 4)) + "px";
  };

  // The rows of a layer; runs of the page are told by their places there.
  const rowsOf = (layer) => {
    const count = layer.at[0].length;
    const columns = layer.values.map((column, k) => layer.columns[k] !== "run_id" ? unpack(column, count)
      : unpack(column, count).map((run) => typeof run === "number" ? kept.ids[run] : run));
    return Array.from({ length: count }, (_, k) => columns.map((column) => column[k]));
  };

  const interactive = (figure) => {
    const data = read(figure.querySelector("script.shown"));
    for (const layer of data.layers) layer.rows = rowsOf(layer);
    const panes = [...figure.querySelectorAll(":scope > div")].filter((d) => d.querySelector("svg"));
    let pane = 0;
    const nearest = (event) => {
      const svg = panes[pane].querySelector("svg");
      const box = svg.getBoundingClientRect();
      const scale = box.width / data.w;
      const x = (event.clientX - box.left) / scale;
      const y = (event.clientY - box.top) / scale;
      let best = null;
      for (const kind of ["points", "line"]) {
        let least = (kind === "points" ? REACH : LINE_REACH) / scale;
        for (const layer of data.layers) {
          if (layer.kind !== kind) continue;
          layer.at[pane].forEach(([u, v], k) => {
            const away = u < 0 ? Infinity : Math.hypot(u - x, v - y);
            if (away < least) { least = away; best = [layer, layer.rows[k]]; }
          });
        }
        if (best) return best;
      }
      return null;
    };
    for (const div of panes) {
      div.addEventListener("pointermove", (event) => {
        const found = nearest(event);
        if (found) show(event, ...found); else hide();
        div.style.cursor = found && found[0].columns.includes("run_id") ? "pointer" : "";
      });
      div.addEventListener("pointerleave", hide);
      div.addEventListener("click", (event) => {
        const found = nearest(event);
        const at = found ? found[0].columns.indexOf("run_id") : -1;
        if (at >= 0) open(found[1][at]);
      });
    }
    for (const [entry] of data.legend) {
      for (const label of figure.querySelectorAll('[id="' + entry + '"]')) {
        label.classList.add("entry");
        label.addEventListener("click", (event) => {
          event.stopPropagation();
          label.classList.toggle("off");
          const within = label.closest("svg");
          const all = (id) => [...within.querySelectorAll('[id="' + id + '"]')];
          // A band belongs to its line's entry and to that of all bands: it is shown if both are on.
          const hidden = new Set(data.legend.flatMap(([one, ...ids]) =>
            (all(one).some((t) => t.classList.contains("off")) ? ids : [])));
          for (const id of data.legend.flatMap(([, ...ids]) => ids))
            for (const part of all(id)) part.style.display = hidden.has(id) ? "none" : "";
        });
      }
    }
    const press = (name, action) => {
      const button = figure.querySelector("[data-" + name + "]");
      if (button) button.addEventListener("click", () => action(button));
    };
    press("scale", (button) => {
      pane = 1 - pane;
      panes.forEach((div, k) => { div.style.display = k === pane ? "block" : "none"; });
      button.textContent = pane ? "logarithmic axes" : "linear axes";
    });
    press("svg", () => {
      const svg = panes[pane].querySelector("svg").cloneNode(true);
      svg.setAttribute("width", data.w + "pt");
      svg.setAttribute("height", data.h + "pt");
      svg.removeAttribute("aria-labelledby");
      svg.setAttribute("aria-label", figure.querySelector("figcaption").textContent);
      svg.setAttribute("font-family", "DejaVu Sans, Verdana, sans-serif");
      save(figure.id + ".svg", new XMLSerializer().serializeToString(svg), "image/svg+xml");
    });
    press("csv", () => {
      const told = data.layers.flatMap((layer) => layer.rows.map((row) => [layer.name, ...values(layer, row)]));
      const names = [...new Set(told.flatMap(([, columns]) => columns))];
      const rows = told.map(([name, columns, row]) => [name, ...names.map((one) => row[columns.indexOf(one)])]);
      save(figure.id + ".csv", csv([["layer", ...names], ...rows]), "text/csv");
    });
  };
  document.querySelectorAll("figure").forEach(interactive);

  const open = drawerOf(kept, runs, make, shown, hide);

  // Tables: sorted by a click on a heading, saved as CSV; a run's name opens the run.
  const exponent = (raised) => Number([...raised].map((c) => c === "⁻" ? "-" : "⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(c)).join(""));
  // The number at the beginning of a cell: 12,345; 350M (302M to 382M); 3·10¹²; 10⁹.
  const number = (text) => {
    const parts = text.replaceAll(",", "").match(/^[+-]?[\d.]+(?:e[+-]?\d+)?(?:(?:·10)?([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)|([kMBT])(?![a-z]))?/i);
    if (!parts) return null;
    const power = parts[1] ? exponent(parts[1]) : 0;
    const digits = parts[1] && !parts[0].includes("·") ? 1 : parseFloat(parts[0]);
    return digits * 10 ** power * (UNITS[parts[2]] || 1);
  };
  const content = (td) => td.dataset.value || td.textContent.replaceAll("−", "-");
  document.querySelectorAll("table").forEach((table) => {
    const body = table.tBodies[0];
    [...table.querySelectorAll("th")].forEach((head, k) => head.addEventListener("click", () => {
      const up = head.dataset.up !== "1";
      table.querySelectorAll("th").forEach((other) => delete other.dataset.up);
      head.dataset.up = up ? "1" : "0";
      const key = (tr) => content(tr.cells[k]);
      const order = (a, b) => {
        const [u, v] = [number(key(a)), number(key(b))];
        return u !== null && v !== null ? u - v : key(a).localeCompare(key(b));
      };
      body.append(...[...body.rows].sort((a, b) => (up ? order(a, b) : order(b, a))));
    }));
    [...body.rows].forEach((tr) => {
      const named = [...tr.cells].find((td) => runs.rows[td.textContent]);
      if (!named) return;
      const name = named.textContent;
      named.replaceChildren();
      const link = make("a", name, named);
      link.href = "#run=" + encodeURIComponent(name);
      link.addEventListener("click", (event) => { event.preventDefault(); open(name); });
    });
  });
  // The rows of a table as numbers; both ends of intervals stand in columns of their own.
  const numbersOf = (wide) => {
    const every = [...wide.querySelectorAll("tr")].map((tr) => [...tr.cells]);
    const between = every[0].map((_, k) => every.some((cells) => cells[k].dataset.ends));
    return every.map((cells, row) => cells.flatMap((td, k) => {
      if (!between[k]) return [content(td)];
      const ends = row ? (td.dataset.ends || " ").split(" ") : ["_lower", "_upper"].map((end) => content(td) + end);
      return [content(td), ...ends];
    }));
  };
  const tableOf = (tool) => {
    let wide = tool.parentElement.previousElementSibling;
    while (!wide.classList.contains("wide")) wide = wide.previousElementSibling;
    return wide;
  };
  document.querySelectorAll("[data-filter]").forEach((field) => field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    const every = [...tableOf(field).querySelector("tbody").rows];
    for (const tr of every) {
      const text = tr.textContent.toLowerCase();
      tr.hidden = !words.every((word) => text.includes(word));
    }
    const found = every.filter((tr) => !tr.hidden).length;
    field.nextElementSibling.textContent = (found < every.length ? found + " of " : "") + every.length
      + (found < every.length ? " rows" : " rows: scroll for all");
  }));
  document.querySelectorAll("[data-table]").forEach((button) => button.addEventListener("click", () => {
    const long = button.parentElement.nextElementSibling;
    const wide = tableOf(button);
    const all = long && long.matches("script.rows") ? read(long) : null;
    const rows = all === "runs"
      ? [["run_id", ...runs.columns], ...Object.entries(runs.rows).map(([name, row]) => [name, ...row])]
      : all || numbersOf(wide);
    save("table.csv", csv(rows), "text/csv");
  }));
  document.querySelectorAll("[data-file]").forEach((button) => button.addEventListener("click", () =>
    save(button.dataset.file, button.closest("details").querySelector("pre").textContent, "text/plain")));

  // On a narrow screen the contents are folded away.
  const contents = document.querySelector("nav details");
  if (contents && innerWidth <= 1000) contents.open = false;
})();
