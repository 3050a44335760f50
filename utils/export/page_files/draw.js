// Draws the scene with WebGL2, as kernels/cpu_frame.py and cpu_rims.py do: what is opaque first,
// then rims as tents whose weights add up to one, laid over it.
//
// A point at pixel (u, v) of the photo with nearness n (its depth is nearest / n) is drawn at
//   w = 1 + shift.z n / nearest,   x = (u - centre) / focal + shift.x n / nearest - lens.x w
// which is the pinhole divided by the point's own depth: interpolation stays exact, since a plane
// in space has a linear nearness in the photo, and the depth test compares nearness.

const MOST_NEARNESS = 16; // nearer than this share of the nearest depth nothing is drawn

const PLACE = `#version 300 es
precision highp float;
uniform vec2 size;       // of the photo, px
uniform vec3 shift;      // of the camera, in nearest depths
uniform vec2 lens;
uniform vec2 zoom;       // 2 focal / frame, across and down; of x and y
uniform float focal;     // of the photo, px
uniform vec2 frame;      // px
const float PER_STEP = 1.0 / 4095.0;
vec4 place(vec2 pixel, float nearness) {
  float w = 1.0 + shift.z * nearness;
  vec2 at = (pixel - (size - 1.0) / 2.0) / focal + shift.xy * nearness - lens * w;
  return vec4(at.x * zoom.x, -at.y * zoom.y, w - 2.0 * nearness / ${MOST_NEARNESS}.0, w);
}
// How many px of the frame lie between points that are a pixel of the photo apart.
float spread(float w) { return zoom.x * frame.x / (2.0 * focal * w); }
// Where in depth what is at z gives way by this nearness; never beyond the far plane.
float behind(float z, float nearness, float w) {
  return min(z + 2.0 * nearness * w / ${MOST_NEARNESS}.0, w * (1.0 - 2e-5));
}
`;

const SURFACE = [
  `${PLACE}
in vec3 point;
out vec2 uv;
void main() {
  gl_Position = place(point.xy, point.z * PER_STEP);
  uv = (point.xy + 0.5) / size;
}`,
  `#version 300 es
precision highp float;
uniform sampler2D photo;
uniform float bias;
in vec2 uv;
out vec4 color;
void main() { color = vec4(texture(photo, uv, bias).rgb, 1.0); }`,
];

const SKIRT = [
  `${PLACE}
in vec3 point;
in vec3 source;
flat out ivec2 pixel;
void main() {
  gl_Position = place(point.xy, point.z * PER_STEP);
  // Behind all that is known, the farther the deeper.
  gl_Position.z = gl_Position.w * (1.0 - 1e-5 * (0.2 + 0.8 * source.z * PER_STEP));
  pixel = ivec2(source.xy);
}`,
  `#version 300 es
precision highp float;
uniform sampler2D photo;
flat in ivec2 pixel;
out vec4 color;
void main() { color = vec4(texelFetch(photo, pixel, 0).rgb, 1.0); }`,
];

const POINTS = [
  `${PLACE}
uniform sampler2D photo;
uniform float back;      // nearness by which they give way to the surface
uniform float least;     // size in px
uniform float larger;    // so many times their distance
uniform bool own;        // colours of their own, else the photo's
in vec3 point;
in float spacing;        // px of the photo
in vec3 tint;
flat out vec3 shade;
void main() {
  float nearness = point.z * PER_STEP;
  gl_Position = place(point.xy, nearness);
  float w = gl_Position.w;
  gl_Position.z = behind(gl_Position.z, back, w);
  gl_PointSize = clamp(spread(w) * spacing * larger, least, 64.0);
  shade = own ? tint : texelFetch(photo, ivec2(point.xy), 0).rgb;
}`,
  `#version 300 es
precision highp float;
flat in vec3 shade;
out vec4 color;
void main() { color = vec4(shade, 1.0); }`,
];

const RIMS = [
  `${PLACE}
uniform sampler2D photo;
uniform float back;
in vec3 point;
in vec4 tint;
flat out vec4 shade;
flat out vec2 reach;     // of the tent, px; and what its weight is multiplied by
flat out float side;
void main() {
  float nearness = point.z * PER_STEP;
  gl_Position = place(point.xy, nearness);
  float w = gl_Position.w;
  gl_Position.z = behind(gl_Position.z, back, w);
  float px = spread(w);
  reach = vec2(clamp(px, 1.0, 32.0), px < 1.0 ? px * px : 1.0);
  side = ceil(2.0 * reach.x) + 1.0;
  gl_PointSize = side;
  float alpha = tint.a * 255.0;
  shade = vec4(alpha > 254.5 ? texelFetch(photo, ivec2(point.xy), 0).rgb : tint.rgb, min(alpha, 254.0) / 254.0);
}`,
  `#version 300 es
precision highp float;
flat in vec4 shade;
flat in vec2 reach;
flat in float side;
layout(location = 0) out vec4 shown;
layout(location = 1) out vec4 all;
void main() {
  vec2 tent = max(1.0 - abs(gl_PointCoord - 0.5) * side / reach.x, 0.0);
  float weight = tent.x * tent.y * reach.y;
  shown = vec4(shade.rgb, 1.0) * shade.a * weight;
  all = vec4(weight);
}`,
];

const COMPOSE = [
  `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`,
  `#version 300 es
precision highp float;
uniform sampler2D solid;
uniform sampler2D shown;
uniform sampler2D all;
out vec4 color;
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  vec4 rim = texelFetch(shown, at, 0);
  vec3 behind = texelFetch(solid, at, 0).rgb;
  float share = min(rim.a / max(min(texelFetch(all, at, 0).r, 1.0), 1e-4), 1.0);
  color = vec4(rim.a < 1e-4 ? behind : mix(behind, rim.rgb / rim.a, share), 1.0);
}`,
];

function compile(gl, [vertex, fragment]) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(gl.getProgramInfoLog(program));
  }
  const uniforms = {};
  for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(program, i);
    uniforms[name] = gl.getUniformLocation(program, name);
  }
  return { program, uniforms };
}

// A vertex array: {attribute: [typed array, numbers of a vertex, offset, stride, normalised]}.
function vertexArray(gl, { program }, attributes, triangles) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  const buffers = new Map();
  for (const [name, [data, count, offset = 0, stride = count, normalised = false]] of Object.entries(attributes)) {
    const place = gl.getAttribLocation(program, name);
    if (!buffers.has(data)) {
      buffers.set(data, gl.createBuffer());
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers.get(data));
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, buffers.get(data));
    const types = new Map([[Int16Array, gl.SHORT], [Uint8Array, gl.UNSIGNED_BYTE], [Float32Array, gl.FLOAT]]);
    const bytes = data.BYTES_PER_ELEMENT;
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, count, types.get(data.constructor), normalised, stride * bytes, offset * bytes);
  }
  if (triangles) {
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.STATIC_DRAW);
  }
  gl.bindVertexArray(null);
  return array;
}

class Renderer {
  // scene: {photo: ImageBitmap, width, height, focal, nearest, tolerance, surface, points, rims}
  constructor(canvas, scene) {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
    if (!gl) throw new Error("this browser draws no WebGL 2");
    this.gl = gl;
    this.canvas = canvas;
    this.scene = scene;
    this.float = gl.getExtension("EXT_color_buffer_float") || gl.getExtension("EXT_color_buffer_half_float");
    this.setUp();
  }

  setUp() {
    const { gl, scene } = this;
    this.size = null;
    this.photo = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.photo);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, scene.photo);
    gl.generateMipmap(gl.TEXTURE_2D);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    this.programs = Object.fromEntries(
      Object.entries({ SURFACE, SKIRT, POINTS, RIMS, COMPOSE }).map(([name, source]) => [name, compile(gl, source)]),
    );
    const { SURFACE: surface, SKIRT: skirt, POINTS: points, RIMS: rims } = this.programs;
    const { vertices, triangles, skirts, edges } = scene.surface;
    this.arrays = {
      surface: vertexArray(gl, surface, { point: [vertices, 3] }, triangles),
      skirts: vertexArray(gl, skirt, { point: [skirts, 3, 0, 6], source: [skirts, 3, 3, 6] }),
      edges: vertexArray(gl, points, { point: [edges, 3] }),
      points: vertexArray(gl, points, {
        point: [scene.points.places, 3, 0, 4],
        spacing: [scene.points.places, 1, 3, 4],
        tint: [scene.points.colors, 3, 0, 4, true],
      }),
      rims: vertexArray(gl, rims, { point: [scene.rims.places, 3], tint: [scene.rims.colors, 4, 0, 4, true] }),
    };
  }

  // The textures of a frame of this size.
  resize(width, height) {
    const { gl } = this;
    if (this.size && this.size[0] === width && this.size[1] === height) return;
    if (this.size) for (const texture of Object.values(this.targets)) gl.deleteTexture(texture);
    this.size = [width, height];
    const make = (format) => {
      const texture = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
      return texture;
    };
    const sums = this.float ? gl.RGBA16F : gl.RGBA8;
    this.targets = {
      solid: make(gl.RGBA8),
      depth: make(gl.DEPTH_COMPONENT24),
      shown: make(sums),
      all: make(this.float ? gl.RGBA16F : gl.RGBA8),
    };
    const attach = (colors) => {
      const buffer = gl.createFramebuffer();
      gl.bindFramebuffer(gl.FRAMEBUFFER, buffer);
      colors.forEach((texture, i) =>
        gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + i, gl.TEXTURE_2D, texture, 0),
      );
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, this.targets.depth, 0);
      gl.drawBuffers(colors.map((_, i) => gl.COLOR_ATTACHMENT0 + i));
      return buffer;
    };
    if (this.buffers) for (const buffer of Object.values(this.buffers)) gl.deleteFramebuffer(buffer);
    this.buffers = {
      opaque: attach([this.targets.solid]),
      rims: attach([this.targets.shown, this.targets.all]),
    };
  }

  // pose: {shift: in nearest depths, zoom: focal length per frame width, lens}; `parts` leaves some out.
  draw(pose, width, height, parts = { skirts: true }) {
    const { gl, scene, arrays } = this;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.resize(width, height);
    gl.viewport(0, 0, width, height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.buffers.opaque);
    gl.clearColor(...(parts.clear || [0, 0, 0, 1]));
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LESS);
    gl.depthMask(true);
    gl.disable(gl.BLEND);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);

    this.use("SURFACE", pose, width, height, { bias: -0.5 });
    gl.bindVertexArray(arrays.surface);
    gl.drawElements(gl.TRIANGLES, scene.surface.triangles.length, gl.UNSIGNED_INT, 0);

    // Points give way to the surface where both show the same.
    this.use("POINTS", pose, width, height, { back: 0.25 * scene.tolerance, least: 1, larger: 1.02, own: 0 });
    gl.bindVertexArray(arrays.edges);
    gl.vertexAttrib1f(gl.getAttribLocation(this.programs.POINTS.program, "spacing"), 1);
    gl.drawArrays(gl.POINTS, 0, scene.surface.edges.length / 3);
    if (scene.points.count) {
      this.use("POINTS", pose, width, height, { back: scene.tolerance, least: 1.5, larger: 1.5, own: 1 });
      gl.bindVertexArray(arrays.points);
      gl.drawArrays(gl.POINTS, 0, scene.points.count);
    }
    if (parts.skirts) {
      this.use("SKIRT", pose, width, height);
      gl.bindVertexArray(arrays.skirts);
      gl.drawArrays(gl.TRIANGLES, 0, scene.surface.skirts.length / 6);
    }

    gl.bindFramebuffer(gl.FRAMEBUFFER, this.buffers.rims);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (scene.rims.count) {
      gl.depthMask(false);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE);
      this.use("RIMS", pose, width, height, { back: scene.tolerance });
      gl.bindVertexArray(arrays.rims);
      gl.drawArrays(gl.POINTS, 0, scene.rims.count);
      gl.disable(gl.BLEND);
    }

    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.disable(gl.DEPTH_TEST);
    gl.bindVertexArray(null);
    const { program, uniforms } = this.programs.COMPOSE;
    gl.useProgram(program);
    ["solid", "shown", "all"].forEach((name, i) => {
      gl.activeTexture(gl.TEXTURE0 + i);
      gl.bindTexture(gl.TEXTURE_2D, this.targets[name]);
      gl.uniform1i(uniforms[name], i);
    });
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.activeTexture(gl.TEXTURE0);
  }

  use(name, pose, width, height, numbers = {}) {
    const { gl, scene } = this;
    const { program, uniforms } = this.programs[name];
    gl.useProgram(program);
    gl.bindTexture(gl.TEXTURE_2D, this.photo);
    gl.uniform2f(uniforms.size, scene.width, scene.height);
    gl.uniform3f(uniforms.shift, ...pose.shift);
    gl.uniform2f(uniforms.lens, ...pose.lens);
    gl.uniform2f(uniforms.zoom, 2 * pose.zoom, (2 * pose.zoom * width) / height);
    gl.uniform1f(uniforms.focal, scene.focal);
    gl.uniform2f(uniforms.frame, width, height);
    gl.uniform1i(uniforms.photo, 0);
    for (const [key, value] of Object.entries(numbers)) {
      if (key === "own") gl.uniform1i(uniforms[key], value);
      else gl.uniform1f(uniforms[key], value);
    }
  }

  // RGB of the frame drawn last, from the top, 3 bytes a pixel.
  pixels() {
    const { gl, canvas } = this;
    const { width, height } = canvas;
    const data = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data);
    const upright = new Uint8Array(3 * width * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < 3; c++) upright[3 * (y * width + x) + c] = data[4 * ((height - 1 - y) * width + x) + c];
      }
    }
    return upright;
  }
}
