// The steps of four memories, as nbs/kernels/00_backward.ipynb writes them, for a page without Python.
// nbs/analysis/02_inside.ipynb puts trained networks in and holds the results against the library's.
'use strict'

const sigmoid = x => 1/(1 + Math.exp(-x))
const add = (a, b) => a.map((v, k) => v + b[k])
const part = (v, k, p) => v.subarray(k*p, (k+1)*p)   // the k-th of the blocks of p numbers

// Half precision, as text, to a matrix
function matrix({shape, data}) {
  const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0)), bits = new Uint16Array(bytes.buffer)
  const value = b => (b >> 15 ? -1 : 1)*(b & 0x7c00 ? 2**((b >> 10 & 31) - 25)*(1024 + (b & 1023)) : 2**-24*(b & 1023))
  return {rows: shape[0], columns: shape[1] ?? 1, values: Float64Array.from(bits, value)}
}

function product({rows, columns, values}, v) {
  const out = new Float64Array(rows)
  for (let r = 0, at = 0; r < rows; r++) {
    let sum = 0
    for (let c = 0; c < columns; c++) sum += values[at++]*v[c]
    out[r] = sum
  }
  return out
}

// Four sums and the memory to the output and the new memory
function lstmCore(a, c) {
  const p = c.length, [i, f, g, o] = [0, 1, 2, 3].map(k => part(a, k, p))
  const next = c.map((v, k) => sigmoid(f[k])*v + sigmoid(i[k])*Math.tanh(g[k]))
  return [next.map((v, k) => sigmoid(o[k])*Math.tanh(v)), next]
}

// What the input feeds (n, r, z), what the state feeds (r, z, n) and the state to the new state
function gruCore(fromInput, fromState, h) {
  const p = h.length, [n, rx, zx] = [0, 1, 2].map(k => part(fromInput, k, p))
  const [rh, zh, nh] = [0, 1, 2].map(k => part(fromState, k, p))
  return h.map((v, k) => {
    const fresh = Math.tanh(n[k] + sigmoid(rx[k] + rh[k])*nh[k])
    return fresh + sigmoid(zx[k] + zh[k])*(v - fresh)
  })
}

// The next states (output first) from the input's sums, bias included, and the states
function step(kind, a, states, w) {
  const [h, c, inner] = states, p = h.length, fed = product(w.wh, h), bias = w.bias.values
  if (kind === 'lstm') return lstmCore(add(a, fed), c)
  if (kind === 'gru') {
    fed.set(add(part(fed, 2, p), part(bias, 3, p)), 2*p)
    return [gruCore(a, fed, h)]
  }
  const sums = add(a, fed), [i, f, g, o] = [0, 1, 2, 3].map(k => part(sums, k, p)), arteries = new Float64Array(2*p)
  for (let k = 0; k < p; k++) {
    arteries[k] = sigmoid(f[k])*c[k]
    arteries[p+k] = sigmoid(i[k])*Math.tanh(g[k])
  }
  let within = add(product(w.wu, arteries), bias.subarray(4*p)), memory
  const fromMemory = product(w.wc, c)
  if (kind === 'mcrm') {
    fromMemory.set(add(part(fromMemory, 2, p), part(bias, 7, p)), 2*p)
    memory = [gruCore(within, fromMemory, c)]
  } else memory = lstmCore(add(within, fromMemory), inner)
  return [memory[0].map((v, k) => sigmoid(o[k])*Math.tanh(v)), ...memory]
}

// Every state after every character, the bits that each character costs, and where it ends, to be gone on from
function readText(reader, text, from = {}) {
  const w = reader.w ??= Object.fromEntries(Object.entries(reader.weights).map(([k, m]) => [k, matrix(m)]))
  const p = w.embedding.columns, known = Object.fromEntries(reader.symbols.map((s, k) => [s, k])), sums = {}
  const inputs = k => sums[k] ??= add(product(w.wx, w.embedding.values.subarray(k*p, (k+1)*p)), w.bias.values)
  const zeros = Array.from({length: reader.states}, () => new Float64Array(p)), cost = [], seen = []
  let {states = zeros, scores} = from
  for (const s of text) {
    if (scores) {
      const top = Math.max(...scores), total = scores.reduce((t, v) => t + Math.exp(v - top), 0)
      cost.push((Math.log(total) - scores[known[s]] + top)/Math.LN2)
    }
    states = step(reader.kind, inputs(known[s]), states, w)
    scores = add(product(w.embedding, states[0]), w.decoder.values)
    seen.push(states)
  }
  return {states: seen, bits: cost, end: {states, scores}}
}

// A text much as theirs was made: small letters, N for a number, a sign for the end of a line, parts of words apart
function asTheyRead(text) {
  const parts = text.trim().replace(/\n+/g, ' <eos> ').replace(/[A-Za-z\d]+(?:[-.,][A-Za-z\d]+)*/g, w => /^\d+([.,]\d+)*$/.test(w) ? 'N' : w).replace(/\$/g, '$ ').replace(/%/g, ' N')
  const small = parts.replace(/[A-Za-z]+/g, w => w === 'N' ? w : w.toLowerCase())
  return small.replace(/n't\b/g, " n't").replace(/'s\b/g, " 's").replace(/\s+/g, ' ')
}

if (typeof module !== 'undefined') module.exports = {readText, asTheyRead}
