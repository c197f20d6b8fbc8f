"use strict";
// Shows the figures of the slider's place. All of them were made with the page: nothing is computed here.
(() => {
  const box = document.getElementById("threshold-box");
  const slider = document.getElementById("threshold-slider");
  const which = document.getElementById("threshold-which"); // not there where there is one choice
  const back = document.getElementById("threshold-back");
  const said = document.getElementById("threshold-said");
  const sliders = JSON.parse(box.dataset.sliders);
  let of = sliders[0];
  let waiting = 0;

  const write = (name, text) => {
    document.getElementById(name).textContent = text;
  };

  const show = () => {
    const index = Number(slider.value);
    const [threshold, gunshots, others] = of.places[index];
    const parts = [of.gunshots[gunshots], of.others[others]];
    const own = index === of.chosen ? ", the model’s own" : "";
    const figures = parts.flatMap((part) => part[2]);
    write("threshold-value", threshold);
    write("threshold-own", own);
    parts.flatMap((part) => part[0]).forEach((count, cell) => write(`threshold-count-${cell}`, count));
    parts.flatMap((part) => part[1]).forEach((rate, cell) => write(`threshold-rate-${cell}`, rate));
    figures.forEach((figure, row) => {
      figure.forEach((text, part) => write(`threshold-figure-${row}-${part}`, text));
    });
    slider.setAttribute("aria-valuetext", `${threshold}${own}`);
    return figures;
  };

  const moved = () => {
    const figures = show();
    // said once the slider rests: every place on its way would be a torrent
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      said.textContent = figures.map((figure) => figure.slice(0, 2).join("; ")).join(". ");
    }, 400);
  };

  const put = (index) => {
    slider.max = String(of.places.length - 1); // before the value, which it limits
    slider.value = String(index);
  };

  const nearest = (threshold) => {
    const away = of.places.map(([other]) => Math.abs(Number(other) - threshold));
    return away.indexOf(Math.min(...away));
  };

  const change = () => {
    const before = of;
    const index = Number(slider.value);
    of = sliders[Number(which.value)];
    // one model's threshold, on other clips, is what one wants to see; another model's scores are on another scale
    const isKept = of.model === before.model && index !== before.chosen;
    put(isKept ? nearest(Number(before.places[index][0])) : of.chosen);
    write("threshold-model", of.model);
    write("threshold-split", of.split);
    write("threshold-caption", `${of.model}, ${of.split}`);
    write("threshold-note", of.note);
    back.textContent = `Back to ${of.places[of.chosen][0]}`;
    moved();
  };

  slider.addEventListener("input", moved);
  back.addEventListener("click", () => {
    put(of.chosen);
    moved();
    slider.focus();
  });
  if (which) {
    which.value = "0"; // a page that is loaded again may remember another, as with the place
    which.addEventListener("change", change);
  }
  put(of.chosen);
  show();
  box.hidden = false;
})();
