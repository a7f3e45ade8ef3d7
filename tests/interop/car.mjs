// Archives judged and made by the libraries of IPFS in JavaScript. The first argument says what to do; answers are JSON on stdout.
//   make FOLDER OUT LAYOUT   what lies in FOLDER, imported with that layout, as an archive
//   check FILE...            every block of each archive hashed: its roots and its CIDs in order
import { createReadStream, createWriteStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CarBlockIterator, CarWriter } from '@ipld/car'
import * as dagPb from '@ipld/dag-pb'
import { blake3 } from '@noble/hashes/blake3.js'
import { MemoryBlockstore } from 'blockstore-core/memory'
import { UnixFS } from 'ipfs-unixfs'
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced, trickle } from 'ipfs-unixfs-importer/layout'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { from } from 'multiformats/hashes/hasher'
import { identity } from 'multiformats/hashes/identity'
import { sha256, sha512 } from 'multiformats/hashes/sha2'

const hashers = { sha512, blake3: from({ name: 'blake3', code: 0x1e, encode: (bytes) => blake3(bytes) }), identity }
const byCode = new Map([sha256, ...Object.values(hashers)].map((hasher) => [hasher.code, hasher]))
const small = fixedSize({ chunkSize: 256 * 1024 })
const LAYOUTS = {
  v0: { cidVersion: 0, rawLeaves: false, chunker: small },
  v1: { cidVersion: 1, rawLeaves: true, chunker: small },
  pb: { cidVersion: 1, rawLeaves: false, chunker: small, reduceSingleLeafToSelf: false },
  trickle: { cidVersion: 0, rawLeaves: false, chunker: fixedSize({ chunkSize: 3000 }), layout: trickle() },
  narrow: { cidVersion: 1, rawLeaves: true, chunker: fixedSize({ chunkSize: 3000 }), layout: balanced({ maxChildrenPerNode: 3 }) },
  sharded: { cidVersion: 1, rawLeaves: true, shardSplitThresholdBytes: 0 },
  sharded16: { cidVersion: 1, rawLeaves: true, shardSplitThresholdBytes: 0, shardFanoutBits: 4 },
  kubo: { profile: 'unixfs-v0-2015' },
  ours: { profile: 'unixfs-v1-2025' }
}

async function * candidates (path, name) {
  if ((await stat(path)).isFile()) {
    yield { path: name, content: createReadStream(path) }
  } else {
    const entries = await readdir(path)
    if (entries.length === 0) yield { path: name }
    for (const entry of entries) yield * candidates(`${path}/${entry}`, `${name}/${entry}`)
  }
}

async function imported (folder, store, layout) {
  let root
  for await (const entry of importer(candidates(folder, 'root'), store, LAYOUTS[layout])) {
    if (entry.path === 'root') root = entry.cid
  }
  return root
}

// A folder whose one file has a node and leaves of another hash function; `inline` puts bytes of the file into the node itself.
async function foreign (folder, store, name) {
  const hasher = hashers[name] ?? sha256
  const [file] = (await readdir(folder)).sort()
  const bytes = new Uint8Array(await new Response(createReadStream(`${folder}/${file}`)).arrayBuffer())
  const put = async (code, block, how = hasher) => {
    const cid = CID.createV1(code, await how.digest(block))
    if (how !== identity) await store.put(cid, block)
    return cid
  }
  const own = name === 'inline' ? bytes.subarray(0, 100) : undefined
  const part = name === 'identity' ? 100 : 1000
  const unixfs = new UnixFS({ type: 'file', data: own })
  const links = []
  for (let at = own?.length ?? 0; at < bytes.length; at += part) {
    const leaf = bytes.subarray(at, at + part)
    unixfs.addBlockSize(BigInt(leaf.length))
    links.push({ Name: '', Tsize: leaf.length, Hash: await put(raw.code, leaf) })
  }
  const how = name === 'identity' ? sha256 : hasher
  const node = await put(dagPb.code, dagPb.encode({ Data: unixfs.marshal(), Links: links }), how)
  const folderData = new UnixFS({ type: 'directory' }).marshal()
  return put(dagPb.code, dagPb.encode({ Data: folderData, Links: [{ Name: file, Tsize: bytes.length, Hash: node }] }), how)
}

async function make (folder, out, layout) {
  const store = new MemoryBlockstore()
  const root = await (layout in LAYOUTS ? imported : foreign)(folder, store, layout)
  const { writer, out: sections } = CarWriter.create([root])
  const written = pipeline(Readable.from(sections), createWriteStream(out))
  for await (const { cid, bytes } of store.getAll()) {
    const chunks = []
    for await (const chunk of bytes) chunks.push(chunk)
    const block = Buffer.concat(chunks)
    // A blockstore forgets versions and codecs: each block is written under whatever CID of it the DAG links to.
    for (const wanted of names.get(cid.multihash.bytes.toString()) ?? [cid]) await writer.put({ cid: wanted, bytes: block })
  }
  await writer.close()
  await written
  return { root: root.toString() }
}

// Which CIDs were put: the in-memory store keeps multihashes only.
const names = new Map()
const original = MemoryBlockstore.prototype.put
MemoryBlockstore.prototype.put = function (cid, ...rest) {
  const key = cid.multihash.bytes.toString()
  const known = names.get(key) ?? []
  if (!known.some((other) => other.equals(cid))) names.set(key, [...known, cid])
  return original.call(this, cid, ...rest)
}

async function check (file) {
  const archive = await CarBlockIterator.fromIterable(createReadStream(file))
  const cids = []
  for await (const { cid, bytes } of archive) {
    const hash = await byCode.get(cid.multihash.code).digest(bytes)
    if (!Buffer.from(hash.digest).equals(Buffer.from(cid.multihash.digest))) throw new Error(`${cid} has other bytes`)
    cids.push(cid.toString())
  }
  return { version: archive.version, roots: (await archive.getRoots()).map(String), cids }
}

const [what, ...rest] = process.argv.slice(2)
console.log(JSON.stringify(what === 'check' ? await Promise.all(rest.map(check)) : await make(...rest)))
