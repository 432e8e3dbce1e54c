"use strict";
// Tables are sorted by a click on a heading, and plots say their values to a pointer and to arrow keys. The page is whole without this.
(() => {
  const units = {ns: 1e-9, "µs": 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, k: 1e3, M: 1e6, G: 1e9};
  const value = (row, at) => {
    const text = row.cells[at].textContent.trim();
    const found = text.replace(/,/g, "").match(/^[^\d–-]{0,3}(-?\d*\.?\d+(?:e[+-]?\d+)?)\s*([a-zµ]*)/i);
    return {text, number: found ? found[1] * (units[found[2]] ?? 1) : NaN};
  };
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0], rows = [...body.rows];
    if (rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const order = {ascending: "descending", descending: ""}[head.getAttribute("aria-sort")] ?? "ascending";
        for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
        if (order) head.setAttribute("aria-sort", order);
        const sign = order === "descending" ? -1 : 1, number = head.classList.contains("number");
        const compare = (one, other) => {
          const [a, b] = [value(one, at), value(other, at)];
          // What is missing comes last in either order.
          if (number) return isNaN(a.number) - isNaN(b.number) || sign * (a.number - b.number) || 0;
          return sign * a.text.localeCompare(b.text, "en", {numeric: true});
        };
        body.append(...(order ? [...rows].sort(compare) : rows));
      });
    });
  }
  for (const picture of document.querySelectorAll("[data-stops]")) {
    const {by, stops} = JSON.parse(picture.dataset.stops);
    if (!stops.length) continue;
    const reader = document.createElement("div"), words = document.createElement("p");
    reader.className = "reader";
    reader.hidden = true;
    words.setAttribute("role", "status");
    let at = -1;
    const place = (svg) => svg.dataset.plane.split(" ").map(Number);
    const show = (svg, index) => {
      at = Math.max(0, Math.min(stops.length - 1, index));
      const [x, ys, text] = stops[at], [left, top, right, bottom] = place(svg);
      const box = svg.getBoundingClientRect(), around = picture.getBoundingClientRect();
      const px = (part) => box.left - around.left + part * box.width, py = (part) => box.top - around.top + part * box.height;
      const across = px(left + x * (right - left)), down = (y) => py(bottom - y * (bottom - top));
      const marks = ys.map((y) => {
        const dot = document.createElement("i");
        dot.className = "dot";
        dot.style.cssText = `left:${across}px;top:${down(y)}px`;
        return dot;
      });
      if (by === "x") {
        const rule = document.createElement("i");
        rule.className = "rule";
        rule.style.cssText = `left:${across}px;top:${py(top)}px;height:${py(bottom) - py(top)}px`;
        marks.unshift(rule);
      }
      words.textContent = text;
      reader.replaceChildren(...marks, words);
      reader.hidden = false;
      const room = around.width - words.offsetWidth;
      words.style.left = `${Math.max(0, Math.min(room, across + 14 + words.offsetWidth > around.width ? across - 14 - words.offsetWidth : across + 14))}px`;
      words.style.top = `${by === "x" ? py(top) : Math.max(0, down(ys[0]) - words.offsetHeight - 12)}px`;
    };
    const hide = () => { reader.hidden = true; };
    for (const svg of picture.querySelectorAll("svg[data-plane]")) {
      svg.tabIndex = 0;
      svg.addEventListener("pointermove", (event) => {
        const box = svg.getBoundingClientRect(), [left, top, right, bottom] = place(svg);
        const x = ((event.clientX - box.left) / box.width - left) / (right - left);
        const y = (bottom - (event.clientY - box.top) / box.height) / (bottom - top);
        const far = (stop) => by === "x" ? Math.abs(stop[0] - x) : by === "y" ? Math.abs(stop[1][0] - y) : Math.hypot(stop[0] - x, stop[1][0] - y);
        let nearest = 0;
        stops.forEach((stop, index) => { if (far(stop) < far(stops[nearest])) nearest = index; });
        show(svg, nearest);
      });
      svg.addEventListener("pointerleave", () => { if (document.activeElement !== svg) hide(); });
      svg.addEventListener("blur", hide);
      svg.addEventListener("keydown", (event) => {
        const step = {ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: stops.length - 1}[event.key];
        if (event.key === "Escape") hide();
        if (step === undefined) return;
        event.preventDefault();
        show(svg, step);
      });
    }
    picture.append(reader);
  }
})();
