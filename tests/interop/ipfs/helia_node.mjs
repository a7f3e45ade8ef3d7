// One Helia node on 127.0.0.1, driven by JSON lines: {"id", "command", ...} on stdin, {"id", "result" | "error"} on stdout.
// No bootstrap, no gateways, no discovery; it dials loopback only and ends with its stdin. argv[2]: {"blocks": folder, "kad": protocol?}.
import { createReadStream } from 'node:fs'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { FsBlockstore } from 'blockstore-fs'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'

const DEADLINE_MS = 110_000
const options = JSON.parse(process.argv[2])
const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n')
const within = () => ({ signal: AbortSignal.timeout(DEADLINE_MS) })

const services = { identify: identify(), ping: ping() }
if (options.kad != null) {
  // its defaults are a client, and a mapper that drops loopback addresses
  services.dht = kadDHT({ protocol: options.kad, clientMode: false, peerInfoMapper: passthroughMapper })
}
const helia = withBitswap(withLibp2pLight(createHeliaLight({ blockstore: new FsBlockstore(options.blocks) }), {
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  peerDiscovery: [],
  connectionManager: { inboundConnectionThreshold: 1000 },
  connectionGater: { denyDialMultiaddr: (address) => !address.toString().startsWith('/ip4/127.0.0.1/') },
  services
}))
await helia.start()
const node = helia.libp2p
const fs = unixfs(helia)

async function * candidates (path, name) {
  if ((await stat(path)).isFile()) {
    yield { path: name, content: createReadStream(path, { highWaterMark: 1 << 20 }) }
    return
  }
  const entries = await readdir(path)
  if (entries.length === 0) yield { path: name }
  for (const entry of entries) yield * candidates(`${path}/${entry}`, `${name}/${entry}`)
}

async function write (cid, path, found) {
  const entry = await fs.stat(cid, within())
  if (entry.type !== 'directory') {
    const parts = []
    for await (const part of fs.cat(cid, within())) parts.push(part)
    await writeFile(path, Buffer.concat(parts))
    found.files++
    return
  }
  await mkdir(path)
  const children = []
  for await (const { name, cid: child } of fs.ls(cid, within())) children.push([name, child])
  // a few at a time, as a person's program would
  for (let at = 0; at < children.length; at += 8) {
    await Promise.all(children.slice(at, at + 8).map(([name, child]) => write(child, `${path}/${name}`, found)))
  }
}

const commands = {
  about: () => ({ peer: node.peerId.toString(), addresses: node.getMultiaddrs().map(String) }),
  dial: async ({ address }) => (await node.dial(multiaddr(address))).remotePeer.toString(),
  connected: () => node.getPeers().map(String),
  protocols: async ({ peer }) => (await node.peerStore.all()).find(({ id }) => id.toString() === peer)?.protocols ?? [],
  async add ({ path, profile }) {
    let root
    const how = profile == null ? {} : { profile }
    for await (const entry of fs.addAll(candidates(path, 'root'), { ...how, ...within() })) {
      if (entry.path === 'root') root = entry.cid
    }
    return root.toString()
  },
  async get ({ cid, path }) {
    const found = { files: 0 }
    await write(CID.parse(cid), path, found)
    return found.files
  },
  async has ({ cid }) { return helia.blockstore.has(CID.parse(cid), { offline: true }) },
  async provide ({ cid }) {
    let told = 0
    for await (const event of node.services.dht.provide(CID.parse(cid), within())) {
      if (event.name === 'PEER_RESPONSE') told++
    }
    return told
  },
  async providers ({ cid }) {
    const found = {}
    for await (const event of node.services.dht.findProviders(CID.parse(cid), within())) {
      if (event.name === 'PROVIDER') {
        for (const { id, multiaddrs } of event.providers) found[id.toString()] = multiaddrs.map(String)
      }
    }
    return found
  },
  routed: () => node.services.dht.routingTable.size,
  memory: () => process.memoryUsage().rss
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, command, ...rest } = JSON.parse(line)
  try {
    say({ id, result: await commands[command](rest) ?? null })
  } catch (error) {
    say({ id, error: `${error.name}: ${error.message}` })
  }
}).on('close', () => process.exit(0))
