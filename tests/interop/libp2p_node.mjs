// One js-libp2p node on 127.0.0.1, driven by JSON lines: {"id", "command", ...} on stdin, {"id", "result" | "error"} on stdout.
// No bootstrap, no discovery; it dials loopback only and ends with its stdin. argv[2]: {"kad": protocol, "relay": limits or null}:
// with limits (what circuitRelayServer takes as reservations) it is a relay. It is reached through relays only when told to be.
// With "street": {"listen", "announce"} (addresses) it is in a namespace of the NAT laboratory instead, dials what it likes there, and punches.
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'

// js-libp2p 3 asks for node 22; this is all that node 20 lacks of it
Promise.withResolvers ??= function () {
  const deferred = {}
  deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }))
  return deferred
}

const DEADLINE_MS = 60_000
const PART_BYTES = 64 * 1024
const { kad, relay, street } = JSON.parse(process.argv[2])
const sha256 = (data) => createHash('sha256').update(data).digest()
const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n')

const node = await createLibp2p({
  addresses: street ?? { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp(), circuitRelayTransport()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  peerDiscovery: [],
  connectionManager: { inboundConnectionThreshold: 1000 }, // a second from one address; 5 by default, and the tests are quicker
  connectionGater: { denyDialMultiaddr: (address) => !street && !address.toString().startsWith('/ip4/127.0.0.1/') },
  services: {
    identify: identify(),
    ping: ping(),
    ...(street && { dcutr: dcutr() }),
    ...(relay && { relay: circuitRelayServer({ reservations: { ...relay, defaultDataLimit: BigInt(relay.defaultDataLimit) } }) }),
    // its defaults are a client, and a mapper that drops loopback addresses
    dht: kadDHT({
      protocol: kad,
      clientMode: false,
      peerInfoMapper: passthroughMapper,
      validators: { test: async () => {} },
      selectors: { test: () => 0 }
    }),
    pubsub: gossipsub({
      globalSignaturePolicy: 'StrictSign',
      emitSelf: false,
      msgIdFn: (message) => sha256(message.data),
      // by default it shuns whoever is more than the tenth peer of an hour at one address, which is what the tests are
      scoreParams: { IPColocationFactorWeight: 0 }
    })
  }
})

// ---- what it serves

const UNLIMITED = '/test/unlimited/1' // the only one that it does not serve through a relay that has limits, as is its default
const endings = new Map() // protocol -> how its last stream ended, as a promise of words

function serve (protocol, answer) {
  return node.handle(protocol, (stream) => {
    endings.set(protocol, answer(stream).then(() => 'end', (error) => {
      stream.abort(error)
      return error.name
    }))
  }, { maxInboundStreams: 64, runOnLimitedConnection: protocol !== UNLIMITED })
}

async function send (stream, data) {
  if (!stream.send(data)) await stream.onDrain()
}

await serve('/test/echo/1', async (stream) => {
  for await (const part of stream) await send(stream, part)
  await stream.close()
})
await serve(UNLIMITED, async (stream) => stream.close())
// answers only after the end of what it is sent: without half-closed streams nobody would ever speak
await serve('/test/digest/1', async (stream) => {
  const hash = createHash('sha256')
  for await (const part of stream) hash.update(part.subarray())
  await send(stream, hash.digest())
  await stream.close()
})
await serve('/test/reset/1', async (stream) => {
  await send(stream, Buffer.from('part'))
  for await (const _ of stream) throw new Error('no more of this')
})
await serve('/test/listen/1', async (stream) => {
  for await (const _ of stream) await send(stream, Buffer.from('heard'))
  await stream.close()
})
await serve('/test/slow/1', async (stream) => {
  let bytes = 0
  for await (const part of stream) {
    if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 7000))
    bytes += part.byteLength
  }
  await send(stream, Buffer.from(String(bytes)))
  await stream.close()
})

// ---- what it is told to do

async function exchange (peer, protocol, bytes) {
  const stream = await node.dialProtocol(peerIdFromString(peer), protocol, { runOnLimitedConnection: true })
  const sent = createHash('sha256')
  const heard = createHash('sha256')
  let read = 0
  const reading = (async () => {
    for await (const part of stream) {
      read += part.byteLength
      heard.update(part.subarray())
    }
  })()
  for (let at = 0; at < bytes; at += PART_BYTES) {
    const part = Buffer.alloc(Math.min(PART_BYTES, bytes - at), `part ${at}`)
    sent.update(part)
    await send(stream, part)
  }
  await stream.close()
  await reading
  return { read, sent: sent.digest('hex'), heard: heard.digest('hex') }
}

async function query (events, name) {
  const found = []
  for await (const event of events) {
    if (event.name === name) found.push(event)
  }
  return found
}

const within = () => ({ signal: AbortSignal.timeout(DEADLINE_MS) })
const inbox = []
node.services.pubsub.addEventListener('gossipsub:message', ({ detail: { msg } }) => {
  inbox.push({ topic: msg.topic, type: msg.type, from: msg.from?.toString(), data: Buffer.from(msg.data).toString('hex') })
})

const commands = {
  about: () => ({ peer: node.peerId.toString(), addresses: node.getMultiaddrs().map(String) }),
  async dial ({ address }) {
    const connection = await node.dial(multiaddr(address))
    return { peer: connection.remotePeer.toString(), muxer: connection.multiplexer, encryption: connection.encryption }
  },
  limits ({ peer }) {
    const [connection] = node.getConnections(peerIdFromString(peer))
    const { bytes, seconds } = connection.limits ?? {}
    return { address: connection.remoteAddr.toString(), bytes: bytes && Number(bytes), seconds }
  },
  ways ({ peer }) {
    return node.getConnections(peerIdFromString(peer)).map((one) => ({ address: one.remoteAddr.toString(), direct: one.direct, status: one.status }))
  },
  'listen at': ({ relay }) => node.components.transportManager.listen([multiaddr(relay + '/p2p-circuit')]),
  addresses: () => node.getMultiaddrs().map(String),
  reservations: () => [...node.services.relay.reservations.keys()].map(String),
  'open unlimited': async ({ peer }) => (await node.dialProtocol(peerIdFromString(peer), UNLIMITED)).close(),
  async known ({ peer }) {
    const { protocols, metadata, addresses } = await node.peerStore.get(peerIdFromString(peer))
    const agent = metadata.get('AgentVersion')
    return {
      protocols,
      agent: agent && Buffer.from(agent).toString(),
      addresses: addresses.map(({ multiaddr }) => multiaddr.toString())
    }
  },
  ping: async ({ peer }) => node.services.ping.ping(peerIdFromString(peer)),
  exchange: ({ peer, protocol, bytes }) => exchange(peer, protocol, bytes),
  async 'read until it ends' ({ peer, protocol }) {
    const stream = await node.dialProtocol(peerIdFromString(peer), protocol)
    const parts = []
    try {
      await send(stream, Buffer.from('go'))
      for await (const part of stream) parts.push(part.subarray())
      await stream.close()
      return { heard: Buffer.concat(parts).toString(), ending: 'end' }
    } catch (error) {
      return { heard: Buffer.concat(parts).toString(), ending: error.name }
    }
  },
  ending: ({ protocol }) => endings.get(protocol),
  async provide ({ cid }) {
    const told = await query(node.services.dht.provide(CID.parse(cid), within()), 'PEER_RESPONSE')
    return told.map(({ from }) => from.toString())
  },
  async providers ({ cid }) {
    const found = await query(node.services.dht.findProviders(CID.parse(cid), within()), 'PROVIDER')
    const providers = found.flatMap((event) => event.providers)
    return Object.fromEntries(providers.map(({ id, multiaddrs }) => [id.toString(), multiaddrs.map(String)]))
  },
  async 'find peer' ({ peer }) {
    const found = await query(node.services.dht.findPeer(peerIdFromString(peer), within()), 'FINAL_PEER')
    return found.flatMap((event) => event.peer.multiaddrs.map(String))
  },
  async 'put value' ({ key, value }) {
    const told = []
    for await (const event of node.services.dht.put(Buffer.from(key, 'hex'), Buffer.from(value, 'hex'), within())) {
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE') told.push([event.from.toString(), true])
      if (event.name === 'QUERY_ERROR') told.push([event.from.toString(), false])
    }
    return Object.fromEntries(told)
  },
  async 'get value' ({ key }) {
    const answered = []
    const values = []
    try {
      for await (const event of node.services.dht.get(Buffer.from(key, 'hex'), within())) {
        if (event.name === 'PEER_RESPONSE') answered.push(event.from.toString())
        if (event.name === 'VALUE') values.push(Buffer.from(event.value).toString('hex'))
      }
    } catch (error) {
      if (error.name !== 'NotFoundError') throw error
    }
    return { values, answered }
  },
  routed: () => node.services.dht.routingTable.size,
  connected: () => node.getPeers().map(String),
  subscribe: ({ topic }) => node.services.pubsub.subscribe(topic),
  mesh: ({ topic }) => node.services.pubsub.getMeshPeers(topic),
  async publish ({ topic, data }) {
    const { recipients } = await node.services.pubsub.publish(topic, Buffer.from(data, 'hex'))
    return recipients.map(String)
  },
  inbox: () => inbox
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, command, ...options } = JSON.parse(line)
  try {
    say({ id, result: await commands[command](options) ?? null })
  } catch (error) {
    say({ id, error: `${error?.name}: ${error?.message}` })
  }
}).on('close', () => process.exit(0))
