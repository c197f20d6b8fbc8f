"use strict";
// Shows the figures of the slider's place. All of them were made with the page: nothing is computed here.
(() => {
  const box = document.getElementById("threshold-box");
  const slider = document.getElementById("threshold-slider");
  const said = document.getElementById("threshold-said");
  const places = JSON.parse(box.dataset.places);
  const chosen = Number(box.dataset.chosen);
  let waiting = 0;

  const write = (name, text) => {
    document.getElementById(name).textContent = text;
  };

  const show = () => {
    const index = Number(slider.value);
    const place = places[index];
    write("threshold-value", place.threshold);
    write("threshold-own", index === chosen ? ", the model’s own" : "");
    place.counts.forEach((count, cell) => write(`threshold-count-${cell}`, count));
    place.rates.forEach((rate, cell) => write(`threshold-rate-${cell}`, rate));
    place.figures.forEach((figure, row) => {
      figure.forEach((text, part) => write(`threshold-figure-${row}-${part}`, text));
    });
    slider.setAttribute("aria-valuetext", `${place.threshold}${index === chosen ? ", the model’s own" : ""}`);
    return place;
  };

  const moved = () => {
    const place = show();
    // said once the slider rests: every place on its way would be a torrent
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      said.textContent = place.figures.map((figure) => figure.slice(0, 2).join("; ")).join(". ");
    }, 400);
  };

  slider.addEventListener("input", moved);
  document.getElementById("threshold-back").addEventListener("click", () => {
    slider.value = String(chosen);
    moved();
    slider.focus();
  });
  slider.value = String(chosen); // a page that is loaded again may remember another
  show();
  box.hidden = false;
})();
