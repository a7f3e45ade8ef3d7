// Prints the root CID that the JavaScript importer's profile unixfs-v1-2025 gives to each path named on stdin, one a line.
import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { BlackHoleBlockstore } from 'blockstore-core/black-hole'
import { importer } from 'ipfs-unixfs-importer'

async function * candidates (path, name) {
  const stat = await lstat(path)
  if (stat.isSymbolicLink()) {
    yield { path: name, link: await readlink(path) }
  } else if (stat.isFile()) {
    yield { path: name, content: createReadStream(path, { highWaterMark: 1 << 20 }) }
  } else {
    const entries = await readdir(path)
    if (entries.length === 0) yield { path: name }
    for (const entry of entries) yield * candidates(`${path}/${entry}`, `${name}/${entry}`)
  }
}

for await (const path of createInterface({ input: process.stdin })) {
  let root
  const options = { profile: 'unixfs-v1-2025', fileImportConcurrency: 4 }
  for await (const entry of importer(candidates(path, 'root'), new BlackHoleBlockstore(), options)) {
    if (entry.path === 'root') root = entry.cid
  }
  console.log(root.toString())
}
