// A list of any length: only the rows in sight exist. Rows come in pages of PAGE; a page is asked for once.
const ROW_PX = 52, PAGE = 100, SPARE = 8;

export function clock(seconds) {
  const s = Math.max(0, seconds), two = (n) => String(Math.floor(n)).padStart(2, "0");
  const rest = s % 60, tail = (rest < 10 ? "0" : "") + rest.toFixed(1);
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two((s % 3600) / 60)}:${tail}` : `${Math.floor(s / 60)}:${tail}`;
}

export class VirtualList {
  constructor(element, space, load, choose) {
    Object.assign(this, { element, space, load, choose, total: 0, place: -1, pages: new Map(), turn: 0 });
    element.addEventListener("scroll", () => this.plan(), { passive: true });
    new ResizeObserver(() => this.plan()).observe(element);
    space.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.choose(Number(row.dataset.place));
    });
  }

  reset(total) {
    this.turn += 1;
    this.total = total;
    this.pages.clear();
    this.space.style.height = `${total * ROW_PX}px`;
    this.element.scrollTop = 0;
    this.draw();
  }

  async page(index) {
    if (!this.pages.has(index)) {
      const turn = this.turn;
      const asked = this.load(index * PAGE, PAGE).catch(() => { this.pages.delete(index); return []; });
      this.pages.set(index, asked);
      const rows = await asked;
      if (turn === this.turn && this.pages.get(index) === asked) this.pages.set(index, rows);
    }
    return this.pages.get(index);
  }

  async at(place) {
    const rows = await this.page(Math.floor(place / PAGE));
    return rows[place % PAGE];
  }

  mark(number, label) { // after a decision: the row is drawn anew without asking
    for (const rows of this.pages.values()) {
      if (Array.isArray(rows)) for (const row of rows) if (row.number === number) row.label = label;
    }
    this.draw();
  }

  show(place) {
    this.place = place;
    const top = place * ROW_PX, view = this.element;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + ROW_PX > view.scrollTop + view.clientHeight) view.scrollTop = top + ROW_PX - view.clientHeight;
    this.draw();
  }

  plan() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => { this.planned = false; this.draw(); });
  }

  draw() {
    const view = this.element;
    const first = Math.max(0, Math.floor(view.scrollTop / ROW_PX) - SPARE);
    const stop = Math.min(this.total, Math.ceil((view.scrollTop + view.clientHeight) / ROW_PX) + SPARE);
    const rows = [];
    for (let place = first; place < stop; place += 1) {
      const page = this.pages.get(Math.floor(place / PAGE));
      if (page === undefined) this.page(Math.floor(place / PAGE)).then(() => this.plan());
      rows.push(this.row(place, Array.isArray(page) ? page[place % PAGE] : undefined));
    }
    this.space.replaceChildren(...rows);
    if (this.place >= first && this.place < stop) view.setAttribute("aria-activedescendant", `row-${this.place}`);
    else view.removeAttribute("aria-activedescendant");
  }

  row(place, content) {
    const element = document.createElement("div");
    element.className = "row";
    element.id = `row-${place}`;
    element.dataset.place = place;
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", String(place === this.place));
    element.setAttribute("aria-setsize", String(this.total));
    element.setAttribute("aria-posinset", String(place + 1));
    element.style.top = `${place * ROW_PX}px`;
    const cell = (text, kind) => {
      const span = document.createElement("span");
      span.textContent = text; // never as markup: names of recordings are anyone's
      span.className = kind;
      element.append(span);
    };
    if (!content) { cell("…", "soft"); return element; }
    const name = content.path.split("/").pop();
    cell(name, "");
    cell(content.label === "not" ? "not" : content.label, content.label);
    cell([clock(content.start_s), content.site, content.night].filter(Boolean).join(" · "), "soft");
    cell(content.score.toFixed(3), "soft");
    element.title = content.path;
    return element;
  }
}
