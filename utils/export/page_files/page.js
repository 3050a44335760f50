// The page: unpacks its scene, plays the film, and says by which command it is made.

const EASE_S = 0.18; // in which the eye goes most of the way to where it is wanted
const SLOW_S = 1 / 45; // a frame that takes longer is slow
const MANY_SLOW = 12; // so many slow frames in a row, and the picture gets smaller
const SMALLER = 0.8; // by this
const SMALLEST = 0.35;
const MOST_PIXELS = 2.1e6; // of a frame
const TILT_DEGREES = 14; // by which the phone is tilted for the eye to go all the way
const HINT_S = 4; // how long the hint is seen

const facts = JSON.parse(document.getElementById("facts").textContent);
const byId = (id) => document.getElementById(id);

async function loadScene() {
  const colors = new Blob([bytesOf(byId("colors").textContent)], { type: facts.scene.colors });
  const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const photo = await createImageBitmap(colors, options);
  const blob = await inflated(bytesOf(byId("packed").textContent), facts.scene.length);
  const part = (name) => section(blob, facts.scene.sections[name]);
  const [height, width] = facts.scene.size;
  const nearness = part("nearness");
  return {
    photo, width, height, nearness,
    focal: facts.scene.focal,
    tolerance: facts.scene.tolerance,
    surface: buildSurface(nearness, part("together"), width, height),
    points: pointsOf(part, width, height),
    rims: rimsOf(part, width),
    poses: part("poses"),
  };
}

function pointsOf(part, width, height) {
  const [u, v, near, spacing] = ["u", "v", "nearness", "spacing"].map((name) => part(`point_${name}`));
  const [red, green, blue] = ["red", "green", "blue"].map((name) => part(`point_${name}`));
  const { per_px: perPx, aside: outside, per_spacing: perSpacing } = facts.scene.points;
  const count = u.length;
  const places = new Float32Array(4 * count);
  const colors = new Uint8Array(4 * count);
  for (let i = 0; i < count; i++) {
    places.set([u[i] / perPx - outside * width, v[i] / perPx - outside * height, near[i], spacing[i] / perSpacing], 4 * i);
    colors.set([red[i], green[i], blue[i], 255], 4 * i);
  }
  return { places, colors, count };
}

function rimsOf(part, width) {
  const [low, high, near, alpha] = ["step", "step_high", "nearness", "alpha"].map((name) => part(`rim_${name}`));
  const [red, green, blue] = ["red", "green", "blue"].map((name) => part(`rim_${name}`));
  const count = low.length;
  const places = new Int16Array(3 * count);
  const colors = new Uint8Array(4 * count);
  let pixel = 0;
  for (let i = 0, own = 0; i < count; i++) {
    pixel += low[i] + 65536 * high[i];
    places.set([pixel % width, Math.floor(pixel / width), near[i]], 3 * i);
    colors[4 * i + 3] = alpha[i];
    if (alpha[i] === 0 || alpha[i] === 255) continue; // unseen, or the photo's
    colors.set([red[own], green[own], blue[own]], 4 * i);
    own++;
  }
  return { places, colors, count };
}

// What the camera does, for each choice of the menu.
class Camera {
  constructor(scene, windows) {
    this.scene = scene;
    this.windows = windows;
    this.move = "film";
    this.strength = facts.strengths.indexOf(1);
  }

  // {pose: function of t, closed, depth of the focus}
  path() {
    if (this.move === "windows") return this.between();
    const move = this.move === "film" ? facts.film : facts.moves[this.move];
    const first = move.first + (this.move === "film" ? 0 : this.strength * move.length);
    const samples = this.scene.poses.subarray(first * POSE, (first + move.length) * POSE);
    return { pose: (t) => sampledPose(samples, t), closed: move.closed, depth: move.depth };
  }

  between() {
    const { windows, scene } = this;
    const { scale, photo } = facts.windows;
    const inScene = ({ u, v, width, height }) => ({ u: u * scale[0], v: v * scale[1], width: width * scale[0], height: height * scale[1] });
    const { u, v } = windows.focusPoint();
    const depth = focusDepth(scene, (u / photo[1]) * scene.width, (v / photo[0]) * scene.height, facts.windows.patch_share);
    const pose = windowsPath(inScene(windows.start), inScene(windows.end), depth, facts.windows);
    return { pose, closed: false, depth };
  }

  // Words of the command line that say what the camera does.
  words() {
    const focus = this.windows.focus;
    if (this.move === "film") return facts.film.words;
    if (this.move === "windows") {
      const words = this.windowNumbers().flatMap(([name, value]) => [`--${name}`, value]);
      return focus ? [...words, "--focus", `${said(focus.u)},${said(focus.v)}`] : words;
    }
    const strength = facts.strengths[this.strength];
    return ["--move", this.move, ...(strength === 1 ? [] : ["--strength", String(strength)]), "--focus", facts.focus];
  }

  windowNumbers() {
    return ["start", "end"].flatMap((end) => {
      const { u, v, width, height } = this.windows[end];
      const numbers = [[`${end}U`, said(u)], [`${end}V`, said(v)], [`${end}W`, said(width)]];
      return facts.windows.tell_height ? [...numbers, [`${end}H`, said(height)]] : numbers;
    });
  }

  // The same for a line of a list.
  line() {
    if (this.move === "film") return facts.film.line;
    if (this.move === "windows") {
      const numbers = this.windowNumbers().map(([name, value]) => `${name}=${value}`).join(" ");
      const { focus } = this.windows;
      return { move: "windows", windows: numbers, ...(focus && { focus: `${said(focus.u)},${said(focus.v)}` }) };
    }
    return { move: this.move, strength: facts.strengths[this.strength], focus: facts.focus };
  }
}

// A word as a shell takes it whole, as Python's shlex.quote has it.
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

class Player {
  constructor(renderer, camera) {
    this.renderer = renderer;
    this.camera = camera;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.playing = !this.calm;
    this.phase = 0; // 0 to 1: all of the film, there and back
    this.held = null; // a time that is shown while a window is dragged
    this.eye = [0, 0];
    this.wanted = [0, 0]; // -1 to 1 each
    this.scale = 1;
    this.slow = 0;
    this.last = 0;
    this.dirty = true;
    this.follow();
  }

  follow() {
    this.path = this.camera.path();
    this.dirty = true;
  }

  seconds() {
    return this.path.closed ? facts.film.round_s : 2 * facts.film.way_s;
  }

  time() {
    if (this.held !== null) return this.held;
    if (this.path.closed) return this.phase;
    const way = this.phase < 0.5 ? 2 * this.phase : 2 - 2 * this.phase;
    return facts.film.smooth ? way * way * (3 - 2 * way) : way;
  }

  pose() {
    const pose = this.path.pose(this.time());
    return aside(pose, [this.eye[0] * facts.eye[0], this.eye[1] * facts.eye[1]], this.path.depth);
  }

  frameSize() {
    const [tall, wide] = facts.view;
    const shown = byId("view").clientWidth * devicePixelRatio;
    const most = Math.sqrt((MOST_PIXELS * wide) / tall);
    const width = Math.max(16, Math.round(this.scale * Math.min(shown, most, 2 * wide)));
    return [width, Math.max(16, Math.round((width * tall) / wide))];
  }

  frame(now) {
    requestAnimationFrame((next) => this.frame(next));
    const passed = Math.min((now - this.last) / 1000, 0.25);
    this.last = now;
    const [x, y] = this.eye;
    const step = 1 - Math.exp(-passed / EASE_S);
    this.eye = [x + step * (this.wanted[0] - x), y + step * (this.wanted[1] - y)];
    const looking = Math.abs(this.eye[0] - x) + Math.abs(this.eye[1] - y) > 1e-4;
    if (this.playing && this.held === null) {
      this.phase = (this.phase + passed / this.seconds()) % 1;
      byId("time").value = Math.round(1000 * this.phase);
    }
    const moving = this.playing || looking;
    if (!moving && !this.dirty) {
      this.slow = 0;
      return;
    }
    this.measure(passed, moving);
    this.dirty = false;
    this.renderer.draw(this.pose(), ...this.frameSize());
  }

  // A picture that comes too slowly gets smaller.
  measure(passed, moving) {
    this.slow = moving && passed > SLOW_S ? this.slow + 1 : 0;
    if (this.slow < MANY_SLOW || this.scale <= SMALLEST) return;
    this.slow = 0;
    this.scale = Math.max(SMALLEST, this.scale * SMALLER);
  }

  toggle() {
    this.playing = !this.playing;
    this.showState();
  }

  showState() {
    byId("play").classList.toggle("paused", !this.playing);
    byId("play").setAttribute("aria-label", this.playing ? "Pause" : "Play");
  }
}

// The eye follows the pointer over the film, a finger, or the phone's tilt.
function followPointer(player) {
  const stage = byId("stage");
  stage.addEventListener("pointermove", (event) => {
    const box = stage.getBoundingClientRect();
    player.wanted = [
      clamp((2 * (event.clientX - box.left)) / box.width - 1, -1, 1),
      clamp((2 * (event.clientY - box.top)) / box.height - 1, -1, 1),
    ];
    if (player.calm) player.eye = player.wanted; // no motion of its own
    player.dirty = true;
    byId("hint").classList.add("gone");
  });
  for (const kind of ["pointerleave", "pointerup", "pointercancel"]) {
    stage.addEventListener(kind, (event) => {
      if (kind === "pointerleave" || event.pointerType === "touch") player.wanted = [0, 0];
      if (player.calm) player.eye = player.wanted;
      player.dirty = true;
    });
  }
}

function followTilt(player) {
  const button = byId("tilt");
  if (!("DeviceOrientationEvent" in window) || !matchMedia("(pointer: coarse)").matches) return;
  button.hidden = false;
  let rest = null; // how the phone was held when it began
  const tilted = ({ beta, gamma }) => {
    if (beta === null || gamma === null) return;
    rest = rest || [gamma, beta];
    const turned = (screen.orientation && screen.orientation.angle) || 0;
    const aslant = [(gamma - rest[0]) / TILT_DEGREES, (beta - rest[1]) / TILT_DEGREES];
    const ways = { 90: [aslant[1], -aslant[0]], 180: [-aslant[0], -aslant[1]], 270: [-aslant[1], aslant[0]] };
    player.wanted = (ways[turned] || aslant).map((part) => clamp(part, -1, 1));
    player.dirty = true;
  };
  button.addEventListener("click", async () => {
    if (rest !== null || button.getAttribute("aria-pressed") === "true") {
      window.removeEventListener("deviceorientation", tilted);
      button.setAttribute("aria-pressed", "false");
      rest = null;
      player.wanted = [0, 0];
      return;
    }
    const ask = DeviceOrientationEvent.requestPermission;
    if (ask && (await ask.call(DeviceOrientationEvent).catch(() => "denied")) !== "granted") return;
    window.addEventListener("deviceorientation", tilted);
    button.setAttribute("aria-pressed", "true");
  });
}

// What the browser shows of the photo: its own scene, not moved.
function drawPhoto(renderer, scene) {
  const [tall, wide] = facts.windows.photo;
  const long = Math.min(1, 960 / Math.max(tall, wide));
  const size = [Math.max(1, Math.round(wide * long)), Math.max(1, Math.round(tall * long))];
  renderer.draw({ shift: [0, 0, 0], zoom: scene.focal / scene.width, lens: [0, 0] }, ...size);
  const picture = byId("picture");
  [picture.width, picture.height] = size;
  picture.getContext("2d").drawImage(renderer.canvas, 0, 0);
}

function fillMenu() {
  const own = facts.film.move === "windows" ? "This film, between windows" : `This film (${facts.film.move})`;
  const choices = [["film", own], ["windows", "Between the windows below"], ...Object.keys(facts.moves).map((name) => [name, name])];
  for (const [value, text] of choices) byId("move").add(new Option(text, value));
  byId("strength").max = facts.strengths.length - 1;
  byId("strength").value = facts.strengths.indexOf(1);
}

function showCommand(camera) {
  const words = ["python", "kbe.py", "--in", facts.photo, "--out", facts.out, ...camera.words(), ...facts.words];
  byId("line").textContent = words.map(quoted).join(" ");
  byId("list").textContent = JSON.stringify({ photo: facts.photo, ...camera.line(), ...facts.line });
}

async function copy(button) {
  const text = byId(button.dataset.copies).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(byId(button.dataset.copies));
    document.execCommand("copy");
    getSelection().removeAllRanges();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

function listen(player, camera) {
  const choose = (move) => {
    camera.move = move;
    byId("move").value = move;
    byId("strength").disabled = move === "film" || move === "windows";
    byId("strong").textContent = facts.strengths[camera.strength];
    player.follow();
    showCommand(camera);
  };
  byId("move").addEventListener("change", () => choose(byId("move").value));
  byId("strength").addEventListener("input", () => {
    camera.strength = Number(byId("strength").value);
    choose(camera.move);
  });
  byId("play").addEventListener("click", () => player.toggle());
  byId("time").addEventListener("input", () => {
    player.playing = false;
    player.phase = Math.min(Number(byId("time").value) / 1000, 0.9999);
    player.dirty = true;
    player.showState();
  });
  byId("full").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else byId("stage").requestFullscreen().catch(() => {});
  });
  byId("full").hidden = !document.fullscreenEnabled;
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.closest("button, input, select, pre")) return;
    event.preventDefault();
    player.toggle();
  });
  for (const button of document.querySelectorAll("[data-copies]")) button.addEventListener("click", () => copy(button));
  addEventListener("resize", () => (player.dirty = true));
  choose("film");
  // While a window is dragged, the film stands where that is what it shows.
  return (what) => {
    if (what.endsWith("done")) {
      if (player.held !== null) player.phase = player.held === 1 ? 0.5 : 0;
      player.held = null;
      return;
    }
    choose(what === "reset" ? "film" : "windows");
    if (what === "start" || what === "end") player.held = what === "end" ? 1 : 0;
    if (what === "reset" || what === "both") player.held = null;
  };
}

async function begin() {
  const view = byId("view");
  const [tall, wide] = facts.view;
  view.style.aspectRatio = `${wide} / ${tall}`;
  byId("photo").style.aspectRatio = facts.windows.photo.slice().reverse().join(" / ");
  document.body.classList.toggle("portrait", tall > wide);
  const scene = await loadScene();
  const renderer = new Renderer(view, scene);
  drawPhoto(renderer, scene);
  let changed = () => {};
  const windows = new Windows(facts.windows, (what) => changed(what));
  const camera = new Camera(scene, windows);
  fillMenu();
  const player = new Player(renderer, camera);
  changed = listen(player, camera);
  player.showState();
  followPointer(player);
  followTilt(player);
  view.addEventListener("webglcontextlost", (event) => event.preventDefault());
  view.addEventListener("webglcontextrestored", () => {
    renderer.setUp();
    player.dirty = true;
  });
  byId("message").textContent = "";
  const way = matchMedia("(pointer: coarse)").matches ? "Drag across" : "Move over";
  byId("hint").textContent = facts.eye[0] ? `${way} the picture to look around` : "";
  setTimeout(() => byId("hint").classList.add("gone"), 1000 * HINT_S);
  requestAnimationFrame((now) => {
    player.last = now;
    player.frame(now);
  });
  return { scene, renderer, windows, camera, player, windowsPath, focusDepth };
}

// For tests, and for whoever puts the page into another one.
window.kenBurns = begin().catch((error) => {
  byId("message").textContent = `The scene cannot be shown: ${error.message}.`;
  throw error;
});
