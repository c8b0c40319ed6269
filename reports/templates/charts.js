// Interactive figures: drawn by Plotly (a file beside the page) when they come into view, from the numbers at the page's end.
// Without scripts, without Plotly, and in print the static pictures stand.
(() => {
  const data = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const dashes = { "-": "solid", "--": "dash", "-.": "dashdot", ":": "dot" };
  const symbols = { o: "circle", s: "square", "^": "triangle-up", D: "diamond", v: "triangle-down", P: "cross", X: "x", "<": "triangle-left", ">": "triangle-right" };
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const tint = (look) => (look === -1 ? css("--ink") : look === -2 ? css("--soft") : data.looks[dark.matches ? "dark" : "light"][look % data.looks.light.length]);
  const signs = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;" }; // Plotly reads markup, and formulas between dollars
  const escaped = (text) => String(text).replace(/[&<>$]/g, (sign) => signs[sign]);
  const cut = (text, limit) => escaped(text.length > limit ? text.slice(0, limit - 1) + "…" : text);
  const faded = (color) => color + "33";
  const drawn = new Map();
  let library = null;

  const load = () => (library ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = "plotly.min.js";
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  }));

  const traceOf = (series, at, seen) => {
    const color = series.strong ? data.looks[dark.matches ? "dark" : "light"][1] : tint(series.look);
    const label = series.label ? escaped(series.label) : "";
    const axes = { xaxis: `x${at}`, yaxis: `y${at}` };
    const legend = { name: label || " ", legendgroup: label, showlegend: Boolean(label) && !seen.has(label) };
    if (label) seen.add(label);
    if (series.kind === "bars") return [{ type: "bar", x: series.x, y: series.y, marker: { color: series.look === -2 ? css("--line") : color }, hovertemplate: "%{y:.4g}<extra>%{fullData.name}</extra>", ...axes, ...legend }];
    const small = series.look === -2;
    const errors = (values) => (values ? { type: "data", array: values, color, thickness: 1.2, width: small ? 0 : 3 } : undefined);
    const texts = series.texts?.map(escaped);
    const main = {
      type: "scatter", mode: series.kind === "points" ? "markers" : series.bare ? "lines" : "lines+markers", x: series.x, y: series.y,
      error_x: errors(series.xe), error_y: series.band ? undefined : errors(series.ye), text: texts,
      hovertemplate: (texts ? "%{text}" : "%{x:.5g}, %{y:.5g}") + (label ? "<extra>%{fullData.name}</extra>" : "<extra></extra>"),
      line: { color, width: 1.8, dash: series.dashed ? "dash" : dashes[data.looks.dashes[Math.floor(Math.max(0, series.look) / 7) % 4]] },
      marker: { color, size: small ? 4 : 7, opacity: small ? 0.6 : 1, symbol: series.strong ? "square" : symbols[data.looks.markers[Math.max(0, series.look) % 9]] },
      ...axes, ...legend,
    };
    if (!series.band || !series.ye) return [main];
    const edge = (sign) => ({ type: "scatter", mode: "lines", x: series.x, y: series.y.map((y, i) => y + sign * (series.ye[i] ?? 0)), line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: label, ...axes });
    return [edge(-1), { ...edge(1), fill: "tonexty", fillcolor: faded(color) }, main];
  };

  const axisOf = (axis, vertical) => {
    const made = { gridcolor: css("--line"), zeroline: false, linecolor: css("--line"), automargin: true, title: { text: axis.names ? "" : escaped(axis.heading ?? ""), standoff: 6 } };
    if (axis.log) made.type = "log";
    if (axis.fromZero) made.rangemode = "tozero";
    if (axis.ticks) Object.assign(made, { tickvals: axis.ticks, ticktext: axis.ticks.map((value) => String(+value.toPrecision(6))) });
    if (axis.names) Object.assign(made, { tickvals: axis.names.map((_, i) => i), ticktext: axis.names.map((name) => cut(name, 26)), range: vertical ? [axis.names.length - 0.5, -0.5] : [-0.5, axis.names.length - 0.5] });
    if (axis.names?.length > 24) Object.assign(made, { tickvals: undefined, ticktext: undefined });
    return made;
  };

  const heatOf = (panel, at) => ({
    type: "heatmap", z: panel.heat, x: panel.x.names?.map((_, i) => i), y: panel.y.names?.map((_, i) => i), zmin: 0, zmax: 1, coloraxis: "coloraxis", xaxis: `x${at}`, yaxis: `y${at}`,
    text: panel.heat.map((row, i) => row.map((_, j) => `true ${escaped(panel.y.names?.[i] ?? i)}, predicted ${escaped(panel.x.names?.[j] ?? j)}`)),
    hovertemplate: "%{text}: %{z:.3f}<extra></extra>",
  });

  // Panels are laid out by hand, as many side by side as the page is wide: a phone gets one column.
  const figureOf = (chart, width) => {
    const pixels = 96, count = chart.panels.length, heat = Boolean(chart.panels[0].heat), rows = chart.panels[0].y.names;
    const longest = Math.max(0, ...(rows ?? []).map((name) => Math.min(26, name.length)));
    const label = rows ? 16 + longest * (heat ? 6 : 6.6) : 62, gap = heat ? label : rows ? 18 : 52;
    const fitting = Math.max(1, Math.floor((width - label + gap) / (Math.min(chart.width * pixels * 0.85, width - label) + gap)));
    const columns = Math.min(chart.columns, fitting, count), lines = Math.ceil(count / columns);
    const across = (width - label - (columns - 1) * gap) / columns - 6;
    const head = 34, foot = chart.panels.some((panel) => panel.x.heading && !panel.x.names) ? 58 : 40, tall = chart.height * pixels + head + foot;
    const traces = [], shapes = [], annotations = [], seen = new Set(), axes = {};
    const labels = new Set(chart.panels.flatMap((panel) => [...panel.series.map((s) => s.label), panel.level?.label]).filter(Boolean));
    const legend = labels.size ? 24 * Math.ceil(labels.size / Math.max(1, Math.floor(width / 190))) + 20 : 0;
    const height = lines * tall;
    chart.panels.forEach((panel, index) => {
      const at = index + 1, line = Math.floor(index / columns), place = index % columns;
      const x0 = (label + place * (across + gap)) / width, x1 = x0 + across / width;
      const top = 1 - (line * tall + head) / height, bottom = 1 - (line * tall + head + chart.height * pixels) / height;
      const key = at === 1 ? "" : at;
      axes[`xaxis${key}`] = { ...axisOf(panel.x, false), domain: [x0, x1], anchor: `y${at}` };
      axes[`yaxis${key}`] = { ...axisOf(panel.y, true), domain: [Math.max(0, bottom), top], anchor: `x${at}` };
      if (place > 0 && panel.y.names && !panel.heat) axes[`yaxis${key}`].showticklabels = false;
      if (place > 0 && !panel.y.names) axes[`yaxis${key}`].title = { text: "" };
      if (chart.shareY && at > 1) axes[`yaxis${key}`].matches = "y";
      annotations.push({ text: `<b>${panel.title.split("\n").map((part) => cut(part, 46)).join("<br>")}</b>`, x: x0, y: top, xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 12 }, align: "left" });
      if (panel.heat) traces.push(heatOf(panel, at));
      for (const series of panel.series) traces.push(...traceOf(series, at, seen));
      const band = { xref: `x${at} domain`, x0: 0, x1: 1, yref: `y${at}`, type: "rect" };
      if (panel.level?.interval) shapes.push({ ...band, y0: panel.level.interval[0], y1: panel.level.interval[1], fillcolor: faded(css("--soft")), line: { width: 0 }, layer: "below" });
      if (panel.level) shapes.push({ ...band, type: "line", y0: panel.level.at, y1: panel.level.at, line: { color: css("--ink"), width: 1.2, dash: "dash" }, name: panel.level.label, showlegend: !seen.has(panel.level.label), legendgroup: panel.level.label });
      if (panel.level) seen.add(panel.level.label);
      if (panel.zero) shapes.push({ type: "line", xref: `x${at}`, x0: 0, x1: 0, yref: `y${at} domain`, y0: 0, y1: 1, line: { color: css("--ink"), width: 1 } });
    });
    const layout = {
      ...axes, shapes, annotations, width, height: height + legend, margin: { l: 4, r: 4, t: 6, b: legend + 4 }, barmode: "group", hovermode: "closest",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, sans-serif", size: 12, color: css("--ink") },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--ink") },
      hoverlabel: { bgcolor: css("--card"), font: { color: css("--ink") } },
      legend: { orientation: "h", x: 0, y: -8 / height, yanchor: "top", xanchor: "left" },
      coloraxis: { cmin: 0, cmax: 1, colorscale: dark.matches ? [[0, "#15171a"], [1, "#7db7f0"]] : [[0, "#f7fbff"], [1, "#08519c"]], showscale: false },
    };
    return { traces, layout };
  };

  const draw = (figure) => {
    const name = figure.id.replace("figure-", ""), card = figure.querySelector(".card");
    const width = Math.floor(figure.getBoundingClientRect().width) - 18;
    if (width < 200) return;
    const { traces, layout } = figureOf(data.charts[name], width);
    let place = figure.querySelector(".live");
    if (!place) {
      place = document.createElement("div");
      place.className = "live";
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", card.querySelector("img").alt);
      card.append(place);
    }
    Plotly.react(place, traces, layout, { displaylogo: false, responsive: false, displayModeBar: width > 500 ? "hover" : false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] }).then(() => figure.classList.add("alive"));
    drawn.set(figure, width);
  };

  const watcher = new IntersectionObserver((found) => {
    for (const each of found.filter((one) => one.isIntersecting)) {
      watcher.unobserve(each.target);
      load().then(() => draw(each.target), () => watcher.disconnect());
    }
  }, { rootMargin: "300px" });
  for (const name of Object.keys(data.charts)) {
    const figure = document.getElementById(`figure-${name}`);
    if (figure) watcher.observe(figure);
  }
  const again = () => { for (const figure of drawn.keys()) draw(figure); };
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => { for (const [figure, width] of drawn) if (Math.abs(figure.getBoundingClientRect().width - 18 - width) > 4) draw(figure); }, 150); });
  dark.addEventListener("change", again);
})();
