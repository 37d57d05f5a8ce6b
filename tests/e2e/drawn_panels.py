"""What of a preview's page has been drawn, as scripts that ask the browser."""

from __future__ import annotations

CHAPTERS = "[...document.querySelectorAll('section:has(> h2)')]"
DRAWN = """
return [...document.querySelectorAll(".panel")].map((panel) => ({
  title: panel.querySelector("h3, h4")?.textContent ?? "",
  kind: [...panel.classList].find((name) => name.startsWith("of-"))?.slice(3),
  drawn: panel.querySelector(".chart")?.dataset.drawn ?? "",
  marks: panel.querySelectorAll(
    ".scatterlayer .trace path.js-line, .scatterlayer .trace .point, .heatmaplayer image, .barlayer path").length,
  failed: panel.querySelector(".notice.problem") !== null,
  text: panel.querySelector(".body").innerText,
  overflows: panel.scrollWidth > panel.clientWidth + 1,
}))
"""
