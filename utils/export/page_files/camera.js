// Where the camera is: samples of paths that Python planned, and the path between two windows.
// A pose is {shift, zoom, lens}: shift in nearest depths, zoom = focal length per frame width.

const POSE = 6; // numbers of a stored pose
const NEARNESS = 4095; // steps of nearness of the nearest pixel

// The pose at t, 0 to 1, of evenly spaced samples.
function sampledPose(samples, t) {
  const last = samples.length / POSE - 1;
  const at = Math.min(Math.max(t, 0), 1) * last;
  const i = Math.min(Math.floor(at), last - 1);
  const n = Array.from({ length: POSE }, (_, k) => {
    const here = samples[i * POSE + k];
    return here + (at - i) * (samples[(i + 1) * POSE + k] - here);
  });
  return { shift: n.slice(0, 3), zoom: n[3], lens: n.slice(4) };
}

// The pose seen by an eye that is this much aside, nearest depths; what is at the depth of the focus
// stays where it is.
function aside(pose, eye, focusDepth) {
  const distance = focusDepth + pose.shift[2];
  return {
    shift: [pose.shift[0] - eye[0], pose.shift[1] - eye[1], pose.shift[2]],
    zoom: pose.zoom,
    lens: [pose.lens[0] - eye[0] / distance, pose.lens[1] - eye[1] / distance],
  };
}

// The depth of the thing at (u, v) px of the photo, in nearest depths: utils/camera/focus.py.
function focusDepth(scene, u, v, patchShare) {
  const { width, height, nearness } = scene;
  const half = Math.max(1, roundHalfEven((patchShare * Math.min(height, width)) / 2));
  const column = Math.min(Math.max(Math.floor(u), 0), width - 1);
  const row = Math.min(Math.max(Math.floor(v), 0), height - 1);
  const patch = [];
  for (let y = Math.max(row - half, 0); y < Math.min(row + half + 1, height); y++) {
    for (let x = Math.max(column - half, 0); x < Math.min(column + half + 1, width); x++) {
      patch.push(nearness[y * width + x]);
    }
  }
  patch.sort((a, b) => a - b);
  const count = (patch.length + 1) >> 1;
  let densest = 0;
  for (let i = 1; i + count <= patch.length; i++) {
    if (patch[i + count - 1] - patch[i] < patch[densest + count - 1] - patch[densest]) densest = i;
  }
  return NEARNESS / patch[densest + ((count - 1) >> 1)];
}

function roundHalfEven(x) {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2) : Math.round(x);
}

function between(start, end, t) {
  return Object.fromEntries(Object.keys(start).map((key) => [key, (1 - t) * start[key] + t * end[key]]));
}

// The path between two windows {u, v, width, height} (px of the picture of `size`), as
// utils/camera/moves.py has it: a function of t that returns a pose.
function windowsPath(start, end, depth, { size, focal, nearest, most_growth, aim_slack }) {
  const [height, width] = size;
  const unit = depth / focal; // of a pixel, at the depth of the focus
  const widest = Math.max(start.width, end.width);
  const advance = depth * (1 - Math.min(start.width, end.width) / widest);
  const most = Math.min(depth, nearest / most_growth);
  const part = most / Math.max(advance, most);
  const pace = Math.min(1, (most_growth * nearest) / depth);
  const aim = (side, total, extent) => clamp(side / 2, total / 2 - aim_slack * extent, total / 2 + aim_slack * extent);
  const across = (aim(width, start.u + end.u, widest) - width / 2) * unit;
  const tallest = Math.max(start.height, end.height);
  const down = (aim(height, start.v + end.v, tallest) - height / 2) * unit;
  const crop = start.width >= end.width ? start : end;
  return (t) => {
    const window = between(start, end, t);
    const z = part * depth * (1 - window.width / widest);
    const u = (window.u - width / 2) * unit;
    const v = (window.v - height / 2) * unit;
    const rest = 1 - z / depth;
    const x = pace * (u - across * rest);
    const y = pace * (v - down * rest);
    const distance = depth - z;
    return {
      shift: [-x, -y, -z],
      zoom: distance / unit / window.width,
      lens: [(u - x) / distance, (v - y) / distance],
    };
  };
}
