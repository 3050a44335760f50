// The photo as a surface of triangles, cut where neighbours do not hang together. Where it is as
// good as flat, large squares take the place of many small ones; they share all corners with their
// neighbours, so that there is no crack.

const LEVELS = 5; // the largest squares have 2 ** LEVELS px
const FLAT = 10; // steps of nearness by which a square may bend, of 4095: a quarter of a px or so

function buildSurface(nearness, together, width, height) {
  const size = width * height;
  const right = together.subarray(0, size);
  const below = together.subarray(size);
  const used = new Uint8Array(size); // 1: a corner of some square
  const edge = new Uint8Array(size); // 1: beside a cut
  const levels = flatSquares(nearness, right, below, width, height);
  const squares = chooseSquares(levels, width, height);
  for (const [x, y, side] of squares) {
    for (const [u, v] of [[0, 0], [side, 0], [0, side], [side, side]]) used[(y + v) * width + x + u] = 1;
  }
  const vertices = []; // x, y, nearness of each
  const number = new Int32Array(size).fill(-1);
  const triangles = [];

  function vertex(pixel) {
    if (number[pixel] < 0) {
      number[pixel] = vertices.length / 3;
      vertices.push(pixel % width, (pixel / width) | 0, nearness[pixel]);
    }
    return number[pixel];
  }

  for (const [x, y, side] of squares) {
    const first = y * width + x;
    const ring = [];
    for (let i = 0; i < side; i++) if (used[first + i]) ring.push(first + i);
    for (let i = 0; i < side; i++) if (used[first + side + i * width]) ring.push(first + side + i * width);
    const far = first + side * width + side;
    for (let i = 0; i < side; i++) if (used[far - i]) ring.push(far - i);
    for (let i = 0; i < side; i++) if (used[far - side - i * width]) ring.push(far - side - i * width);
    const corners = ring.map(vertex);
    if (corners.length === 4) {
      triangles.push(corners[0], corners[1], corners[2], corners[0], corners[2], corners[3]);
      continue;
    }
    const middle = vertex(first + (side >> 1) * (width + 1));
    corners.forEach((corner, i) => triangles.push(middle, corner, corners[(i + 1) % corners.length]));
  }

  // Beside cuts: half squares where three corners hang together, and what is seen through the cut
  // where nothing was inpainted: the farther side's colour, drawn out over the gap.
  const skirts = []; // x, y, nearness, and the pixel whose colour it has: x, y, nearness
  for (let y = 0; y < height - 1; y++) {
    for (let x = 0; x < width - 1; x++) {
      const a = y * width + x;
      if (levels[0][y * (width - 1) + x]) continue;
      const cell = [a, a + 1, a + width + 1, a + width];
      const links = [right[a], below[a + 1], right[a + width], below[a]];
      for (const pixel of cell) edge[pixel] = 1;
      for (let i = 0; i < 4; i++) {
        if (links[i] && links[(i + 3) % 4]) {
          triangles.push(vertex(cell[(i + 3) % 4]), vertex(cell[i]), vertex(cell[(i + 1) % 4]));
          break;
        }
      }
      const farthest = cell.reduce((one, other) => (nearness[other] < nearness[one] ? other : one));
      addSkirt(skirts, cell, farthest);
    }
  }
  function addSkirt(list, cell, source) {
    for (const i of [0, 1, 2, 0, 2, 3]) {
      const pixel = cell[i];
      list.push(pixel % width, (pixel / width) | 0, nearness[pixel]);
      list.push(source % width, (source / width) | 0, nearness[source]);
    }
  }
  addBorder(skirts, nearness, width, height);
  const edges = [];
  for (let i = 0; i < size; i++) {
    const x = i % width;
    const y = (i / width) | 0;
    const outside = x === 0 || y === 0 || x === width - 1 || y === height - 1;
    if (edge[i] || outside) edges.push(x, y, nearness[i]);
  }
  return {
    vertices: new Int16Array(vertices),
    triangles: new Uint32Array(triangles),
    skirts: new Int16Array(skirts),
    edges: new Int16Array(edges),
  };
}

// For each level, which squares of 2 ** level px are one surface and as good as flat.
function flatSquares(nearness, right, below, width, height) {
  const cells = new Uint8Array((width - 1) * (height - 1));
  for (let y = 0, i = 0; y < height - 1; y++) {
    for (let x = 0; x < width - 1; x++, i++) {
      const a = y * width + x;
      cells[i] = right[a] & right[a + width] & below[a] & below[a + 1];
    }
  }
  const levels = [cells];
  for (let level = 1; level <= LEVELS; level++) {
    const side = 1 << level;
    const across = Math.floor((width - 1) / side);
    const down = Math.floor((height - 1) / side);
    const finer = levels[level - 1];
    const stride = Math.floor((width - 1) / (side >> 1));
    const flat = new Uint8Array(across * down);
    for (let row = 0; row < down; row++) {
      for (let column = 0; column < across; column++) {
        const i = 2 * row * stride + 2 * column;
        if (!(finer[i] & finer[i + 1] & finer[i + stride] & finer[i + stride + 1])) continue;
        const at = row * side * width + column * side;
        const half = side >> 1;
        const [a, b, c, d] = [at, at + side, at + side * width, at + side * width + side].map((p) => nearness[p]);
        const bent = Math.max(
          Math.abs(nearness[at + half] - (a + b) / 2),
          Math.abs(nearness[at + half * width] - (a + c) / 2),
          Math.abs(nearness[at + side * width + half] - (c + d) / 2),
          Math.abs(nearness[at + half * width + side] - (b + d) / 2),
          Math.abs(nearness[at + half * width + half] - (a + b + c + d) / 4),
          Math.abs(a + d - b - c) / 4,
        );
        flat[row * across + column] = bent <= FLAT ? 1 : 0;
      }
    }
    levels.push(flat);
  }
  return levels;
}

// [x, y, side] of the largest flat squares that cover everything that hangs together.
function chooseSquares(levels, width, height) {
  const squares = [];
  function visit(column, row, level) {
    const side = 1 << level;
    const x = column * side;
    const y = row * side;
    if (x >= width - 1 || y >= height - 1) return;
    const whole = x + side <= width - 1 && y + side <= height - 1;
    if (whole && levels[level][row * Math.floor((width - 1) / side) + column]) squares.push([x, y, side]);
    else if (level > 0) {
      for (let i = 0; i < 4; i++) visit(2 * column + (i & 1), 2 * row + (i >> 1), level - 1);
    }
  }
  const side = 1 << LEVELS;
  for (let row = 0; row * side < height - 1; row++) {
    for (let column = 0; column * side < width - 1; column++) visit(column, row, LEVELS);
  }
  return squares;
}

// What lies outside the photo, where nothing was inpainted: its border, drawn out.
function addBorder(skirts, nearness, width, height) {
  const far = 8192;
  function add(x0, y0, x1, y1, outX, outY) {
    const corners = [[x0, y0, 0], [x1, y1, 0], [x1, y1, 1], [x0, y0, 1]];
    for (const i of [0, 1, 2, 0, 2, 3]) {
      const [x, y, out] = corners[i];
      const near = nearness[y * width + x];
      skirts.push(x + out * outX * far, y + out * outY * far, near, x, y, near);
    }
  }
  for (let x = 0; x < width - 1; x++) {
    add(x, 0, x + 1, 0, 0, -1);
    add(x, height - 1, x + 1, height - 1, 0, 1);
  }
  for (let y = 0; y < height - 1; y++) {
    add(0, y, 0, y + 1, -1, 0);
    add(width - 1, y, width - 1, y + 1, 1, 0);
  }
  for (const [x, outX] of [[0, -1], [width - 1, 1]]) {
    for (const [y, outY] of [[0, -1], [height - 1, 1]]) {
      const near = nearness[y * width + x];
      for (const [u, v] of [[0, 0], [1, 0], [1, 1], [0, 0], [1, 1], [0, 1]]) {
        skirts.push(x + u * outX * far, y + v * outY * far, near, x, y, near);
      }
    }
  }
}
