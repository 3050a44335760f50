// What utils/export/packing.py packed: inflate it, then undo the differences.

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function inflated(bytes, length) {
  if (typeof DecompressionStream === "undefined") return inflate(bytes, length);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Inflate (RFC 1950, 1951) for browsers that cannot by themselves; `length` is that of the result.
function inflate(bytes, length) {
  const out = new Uint8Array(length);
  let at = 2; // after the two bytes of the header
  let end = 0;
  let held = 0;
  let count = 0;

  function bits(wanted) {
    while (count < wanted) {
      held |= bytes[at++] << count;
      count += 8;
    }
    const value = held & ((1 << wanted) - 1);
    held >>>= wanted;
    count -= wanted;
    return value;
  }

  function code(lengths) {
    const counts = new Uint16Array(16);
    for (const bitsLong of lengths) counts[bitsLong]++;
    counts[0] = 0;
    const begins = new Uint16Array(17);
    for (let i = 1; i < 16; i++) begins[i + 1] = begins[i] + counts[i];
    const symbols = new Uint16Array(lengths.length);
    lengths.forEach((bitsLong, symbol) => {
      if (bitsLong) symbols[begins[bitsLong]++] = symbol;
    });
    return { counts, symbols };
  }

  function symbol({ counts, symbols }) {
    let value = 0;
    let first = 0;
    let index = 0;
    for (let bitsLong = 1; bitsLong < 16; bitsLong++) {
      value |= bits(1);
      const number = counts[bitsLong];
      if (value - first < number) return symbols[index + value - first];
      index += number;
      first = (first + number) << 1;
      value <<= 1;
    }
    throw new Error("the scene in this page is damaged");
  }

  function ownCodes() {
    const literals = bits(5) + 257;
    const distances = bits(5) + 1;
    const lengthsOfLengths = new Array(19).fill(0);
    const order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    for (let i = bits(4) + 4, k = 0; k < i; k++) lengthsOfLengths[order[k]] = bits(3);
    const short = code(lengthsOfLengths);
    const lengths = [];
    while (lengths.length < literals + distances) {
      const said = symbol(short);
      if (said < 16) lengths.push(said);
      else {
        const again = said === 16 ? lengths[lengths.length - 1] : 0;
        const times = said === 16 ? 3 + bits(2) : said === 17 ? 3 + bits(3) : 11 + bits(7);
        for (let i = 0; i < times; i++) lengths.push(again);
      }
    }
    return [code(lengths.slice(0, literals)), code(lengths.slice(literals))];
  }

  function fixedCodes() {
    const length = (i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8);
    return [code(Array.from({ length: 288 }, (_, i) => length(i))), code(new Array(30).fill(5))];
  }

  for (let last = 0; !last; ) {
    last = bits(1);
    const kind = bits(2);
    if (kind === 0) {
      held = count = 0;
      const stored = bytes[at] | (bytes[at + 1] << 8);
      out.set(bytes.subarray(at + 4, at + 4 + stored), end);
      at += 4 + stored;
      end += stored;
      continue;
    }
    const [literal, distance] = kind === 1 ? fixedCodes() : ownCodes();
    for (;;) {
      const said = symbol(literal);
      if (said === 256) break;
      if (said < 256) {
        out[end++] = said;
        continue;
      }
      const rank = said - 257;
      let copied = 258;
      if (rank < 8) copied = rank + 3;
      else if (rank < 28) copied = (((rank & 3) + 4) << ((rank >> 2) - 1)) + 3 + bits((rank >> 2) - 1);
      const far = symbol(distance);
      let back = far + 1;
      if (far > 3) back = (((far & 1) + 2) << ((far >> 1) - 1)) + 1 + bits((far >> 1) - 1);
      for (let i = 0; i < copied; i++, end++) out[end] = out[end - back];
    }
  }
  return out;
}

// One array of the packed scene, by its name.
function section(blob, { kind, bytes, shape, at, length }) {
  const data = blob.subarray(at, at + length);
  if (kind === "floats") return new Float32Array(data.slice().buffer);
  if (kind === "bits") {
    const count = shape.reduce((all, side) => all * side, 1);
    return Uint8Array.from({ length: count }, (_, i) => (data[i >> 3] >> (7 - (i & 7))) & 1);
  }
  const count = length / bytes;
  const values = bytes === 2 ? new Uint16Array(count) : new Uint8Array(count);
  for (let i = 0; i < count; i++) values[i] = bytes === 2 ? data[i] | (data[count + i] << 8) : data[i];
  const width = kind === "map" ? shape[1] : count;
  for (let row = 0; row < count; row += width) {
    for (let i = row + 1; i < row + width; i++) values[i] += values[i - 1];
  }
  for (let i = width; i < count; i++) values[i] += values[i - width];
  return values;
}
