// A js-libp2p node with AutoNAT in a namespace of the NAT laboratory, driven as libp2p_node.mjs is. argv[2]: {"street": {"listen": [address]}}.
// It dials nobody by itself but who asks to be dialled back.
import { createInterface } from 'node:readline'
import { autoNAT } from '@libp2p/autonat'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { pbStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { Message } from './node_modules/@libp2p/autonat/dist/src/pb/index.js' // its own codec, which it does not export

// js-libp2p 3 asks for node 22; this is all that node 20 lacks of it
Promise.withResolvers ??= function () {
  const deferred = {}
  deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }))
  return deferred
}

const { street: { listen } } = JSON.parse(process.argv[2])
const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n')
const node = await createLibp2p({
  addresses: { listen },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false },
  services: { identify: identify(), autoNAT: autoNAT() }
})

const answered = [] // what its server answered
const { autoNAT: service } = node.services
const handle = service.handleAutonatMessage.bind(service)
service.handleAutonatMessage = async (message, connection, options) => {
  const answer = await handle(message, connection, options)
  answered.push({ asked: message.dial?.peer?.addrs.length, status: String(answer.dialResponse.status), text: answer.dialResponse.statusText })
  return answer
}

const commands = {
  about: () => ({ peer: node.peerId.toString(), addresses: [`${listen[0]}/p2p/${node.peerId}`] }), // it tells others none that nobody has verified
  dial: async ({ address }) => (await node.dial(multiaddr(address))).remotePeer.toString(),
  answered: () => answered,
  async 'dial me' ({ peer, as, addresses }) {
    const stream = await node.dialProtocol(peerIdFromString(peer), '/libp2p/autonat/1.0.0')
    const messages = pbStream(stream).pb(Message)
    const id = peerIdFromString(as ?? node.peerId.toString()).toMultihash().bytes
    await messages.write({ type: 'DIAL', dial: { peer: { id, addrs: addresses.map((one) => multiaddr(one).bytes) } } })
    const { type, dialResponse: { status, statusText, addr } } = await messages.read()
    await stream.close()
    return { type, status, statusText, addr: addr && multiaddr(addr).toString() }
  }
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, command, ...options } = JSON.parse(line)
  try {
    say({ id, result: await commands[command](options) ?? null })
  } catch (error) {
    say({ id, error: `${error?.name}: ${error?.message}` })
  }
}).on('close', () => process.exit(0))
