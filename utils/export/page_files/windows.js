// The photo with both crop windows on it, and the focus: drag them, or use the arrow keys.

const MOST_CLOSE = 0.02; // a window is at least this share of the largest one

class Windows {
  // plan: {photo: [height, width], start, end, box: [height, width] of the largest window}
  constructor(plan, changed) {
    this.plan = plan;
    this.changed = changed; // called with the name of what changed: start, end or both
    this.photo = document.getElementById("photo");
    this.first();
    for (const end of ["start", "end"]) {
      this.listen(end);
    }
    const focus = document.getElementById("focus");
    this.drag(focus, (u, v) => {
      const from = { ...this.focusPoint() };
      return (du, dv) => this.setFocus(from.u + du, from.v + dv);
    });
    this.keys(focus, (du, dv) => {
      const { u, v } = this.focusPoint();
      this.setFocus(u + du, v + dv);
    });
    this.photo.addEventListener("dblclick", (event) => this.setFocus(...this.pointAt(event)));
    document.getElementById("swap").addEventListener("click", () => this.swap());
    document.getElementById("reset").addEventListener("click", () => {
      this.first();
      this.show();
      this.changed("reset");
    });
    this.show();
  }

  first() {
    this.start = { ...this.plan.start };
    this.end = { ...this.plan.end };
    this.focus = this.plan.focus && { ...this.plan.focus }; // null: the middle of the end window
  }

  swap() {
    [this.start, this.end] = [this.end, this.start];
    this.show();
    this.changed("both");
  }

  focusPoint() {
    return this.focus || { u: this.end.u, v: this.end.v };
  }

  setFocus(u, v) {
    const [height, width] = this.plan.photo;
    this.focus = { u: Math.round(clamp(u, 0, width)), v: Math.round(clamp(v, 0, height)) };
    this.show();
    this.changed("both");
  }

  // Photo px of where an event is.
  pointAt(event) {
    const box = this.photo.getBoundingClientRect();
    const [height, width] = this.plan.photo;
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  listen(end) {
    const handle = document.getElementById(`${end}-window`);
    const corner = document.getElementById(`${end}-corner`);
    this.drag(handle, () => {
      const from = { ...this[end] };
      return (du, dv) => this.place(end, from.u + du, from.v + dv);
    }, end);
    this.keys(handle, (du, dv) => this.place(end, this[end].u + du, this[end].v + dv), end);
    const resize = (element, right, down) => this.drag(element, () => {
      const from = { ...this[end] };
      const fixed = { u: from.u - (right * from.width) / 2, v: from.v - (down * from.height) / 2 };
      const shape = from.height / from.width;
      return (du, dv) => {
        const width = from.width + (right * du + down * dv * shape) / (1 + shape * shape);
        this.grow(end, fixed, right, down, width);
      };
    }, end);
    resize(corner, 1, 1);
    const others = document.querySelectorAll(`#${end}-frame i`);
    [[-1, -1], [1, -1], [-1, 1]].forEach(([right, down], i) => resize(others[i], right, down));
    this.keys(corner, (du, dv) => {
      const { u, v, width, height } = this[end];
      const wider = du !== 0 ? du : (dv * width) / height;
      this.grow(end, { u: u - width / 2, v: v - height / 2 }, 1, 1, width + wider);
    }, end);
  }

  // Put a window's centre there, or as near as the photo lets it.
  place(end, u, v) {
    const [height, width] = this.plan.photo;
    const window = this[end];
    window.u = clamp(rounded(u), window.width / 2, width - window.width / 2);
    window.v = clamp(rounded(v), window.height / 2, height - window.height / 2);
    this.show();
    this.changed(end);
  }

  // Give a window this width; the corner `fixed` stays, and the window grows right and down from it.
  grow(end, fixed, right, down, width) {
    const [tall, wide] = this.plan.photo;
    const [boxHeight, boxWidth] = this.plan.box;
    const shape = boxHeight / boxWidth;
    const room = Math.min(
      right > 0 ? wide - fixed.u : fixed.u,
      (down > 0 ? tall - fixed.v : fixed.v) / shape,
    );
    const most = Math.floor(room + 1e-6);
    const chosen = clamp(Math.round(width), Math.min(most, Math.max(2, Math.ceil(MOST_CLOSE * boxWidth))), most);
    const height = chosen * shape;
    this[end] = {
      u: fixed.u + (right * chosen) / 2,
      v: fixed.v + (down * height) / 2,
      width: chosen,
      height,
    };
    this.show();
    this.changed(end);
  }

  // Let an element be dragged: `begin` returns what is called with the way from where it began.
  drag(element, begin, end = "focus") {
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      const [u, v] = this.pointAt(event);
      const move = begin(u, v);
      let moved = false;
      const onMove = (next) => {
        const [newU, newV] = this.pointAt(next);
        moved = moved || Math.hypot(next.clientX - event.clientX, next.clientY - event.clientY) > 2;
        if (moved) move(newU - u, newV - v);
      };
      const onEnd = () => {
        element.removeEventListener("pointermove", onMove);
        element.removeEventListener("pointerup", onEnd);
        element.removeEventListener("pointercancel", onEnd);
        if (moved) this.changed(`${end} done`);
      };
      element.addEventListener("pointermove", onMove);
      element.addEventListener("pointerup", onEnd);
      element.addEventListener("pointercancel", onEnd);
    });
  }

  keys(element, move, end = "focus") {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    element.addEventListener("keydown", (event) => {
      const way = ways[event.key];
      if (!way || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const far = event.shiftKey ? 10 : 1;
      move(way[0] * far, way[1] * far);
    });
    element.addEventListener("keyup", (event) => ways[event.key] && this.changed(`${end} done`));
    element.addEventListener("blur", () => this.changed(`${end} done`));
  }

  show() {
    const [height, width] = this.plan.photo;
    const put = (element, u, v) => {
      element.style.left = `${(100 * u) / width}%`;
      element.style.top = `${(100 * v) / height}%`;
    };
    for (const end of ["start", "end"]) {
      const window = this[end];
      for (const name of ["window", "frame"]) {
        const element = document.getElementById(`${end}-${name}`);
        put(element, window.u - window.width / 2, window.v - window.height / 2);
        element.style.width = `${(100 * window.width) / width}%`;
        element.style.height = `${(100 * window.height) / height}%`;
        element.style.zIndex = window.width <= this[end === "start" ? "end" : "start"].width ? 2 : 1;
      }
      const corner = document.getElementById(`${end}-corner`);
      put(corner, window.u + window.width / 2, window.v + window.height / 2);
      corner.style.zIndex = 3;
      const where = `centre ${said(window.u)}, ${said(window.v)}, width ${said(window.width)} px`;
      document.getElementById(`${end}-window`).setAttribute("aria-label", `${end === "start" ? "Start" : "End"} window: ${where}`);
      corner.setAttribute("aria-label", `Size of the ${end} window: ${said(window.width)} px wide`);
    }
    const focus = document.getElementById("focus");
    const { u, v } = this.focusPoint();
    put(focus, u, v);
    focus.style.zIndex = 4;
    focus.classList.toggle("own", Boolean(this.focus));
    focus.setAttribute("aria-label", `Focus: ${said(u)}, ${said(v)}${this.focus ? "" : ", the middle of the end window"}`);
  }
}

function clamp(value, low, high) {
  return Math.max(low, Math.min(value, high));
}

function rounded(value) {
  return Math.round(value);
}

// A number of px as the command line has it: at most two decimals.
function said(value) {
  return String(Math.round(100 * value) / 100);
}
