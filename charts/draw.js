// Unpacks the chart library and draws every plot of the page. Nothing here reads the network.
(async () => {
  "use strict";
  const root = document.documentElement;
  const plots = [...document.querySelectorAll(".chart")];

  async function loadLibrary() {
    const packed = document.getElementById("library").textContent;
    const bytes = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    if (!window.Plotly) throw new Error("the chart library did not start");
  }

  async function draw(plot) {
    const figure = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
    const traces = figure.traces.map((trace) => ({ x: figure.times, ...trace }));
    figure.layout.xaxis.nticks = Math.max(2, Math.floor(plot.clientWidth / 95));
    await Plotly.newPlot(plot, traces, figure.layout, { displayModeBar: false, responsive: true });
    // With a view box, a plot shrinks with its paper when it is printed.
    for (const drawing of plot.querySelectorAll("svg.main-svg")) {
      drawing.setAttribute("viewBox", `0 0 ${drawing.getAttribute("width")} ${drawing.getAttribute("height")}`);
    }
  }

  function failed(plot, error) {
    plot.dataset.drawn = "false";
    plot.textContent = `This plot could not be drawn: ${error.message}`;
  }

  const closeOthers = (target) => {
    for (const about of document.querySelectorAll(".about[open]")) if (!about.contains(target)) about.open = false;
  };
  document.addEventListener("keydown", (event) => event.key === "Escape" && closeOthers(null));
  document.addEventListener("click", (event) => {
    closeOthers(event.target);
    const entry = event.target.closest("button[data-trace]");
    if (!entry || !window.Plotly) return;
    const shown = entry.getAttribute("aria-pressed") !== "true";
    entry.setAttribute("aria-pressed", String(shown));
    Plotly.restyle(entry.dataset.plot, { visible: shown ? true : "legendonly" }, [Number(entry.dataset.trace)]);
  });

  try {
    if (plots.length) await loadLibrary();
    for (const plot of plots) {
      try {
        await draw(plot);
        plot.dataset.drawn = "true";
      } catch (error) {
        failed(plot, error);
      }
    }
  } catch (error) {
    plots.forEach((plot) => failed(plot, error));
  }
  root.dataset.ready = "true";
})();
