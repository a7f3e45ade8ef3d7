// Helia with nothing but one trustless gateway on this machine: fetches a folder block by block, verifies it and writes it out.
// argv[2]: {"url", "token", "cid", "out"}. No bootstrap, no other gateways, no routers, no peers.
import { mkdir, writeFile } from 'node:fs/promises'
import { fallbackRouter } from '@helia/fallback-router'
import { trustlessGatewayBlockBroker } from '@helia/trustless-gateway-client'
import { unixfs } from '@helia/unixfs'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'

const options = JSON.parse(process.argv[2])
const asked = new Set()
const transformRequestInit = async (init) => ({ ...init, headers: { ...init?.headers, authorization: `Bearer ${options.token}` } })
const reached = globalThis.fetch
globalThis.fetch = async (resource, init) => {
  const url = new URL(resource.url ?? resource)
  if (url.hostname !== '127.0.0.1') throw new Error(`${url} is not this machine`)
  asked.add(url.search)
  return reached(resource, init)
}
const gateway = fallbackRouter({ gateways: [options.url] })
const router = { name: 'one gateway', findProviders: (cid, about) => gateway.findProviders(cid, about) } // the first choice, not a fallback
const light = createHeliaLight()
light.addRouter(router)
light.addBlockBroker(trustlessGatewayBlockBroker({ allowInsecure: true, allowLocal: true, transformRequestInit }))
const helia = await light.start()
const alive = setInterval(() => {}, 1000) // its own waiting does not keep the process
const fs = unixfs(helia)
const within = () => ({ signal: AbortSignal.timeout(20_000) })

async function write (cid, path) {
  if ((await fs.stat(cid, within())).type !== 'directory') {
    const parts = []
    for await (const part of fs.cat(cid, within())) parts.push(part)
    await writeFile(path, Buffer.concat(parts))
    return 1
  }
  await mkdir(path)
  let files = 0
  for await (const { name, cid: child } of fs.ls(cid, within())) files += await write(child, `${path}/${name}`)
  return files
}

console.log(JSON.stringify({ files: await write(CID.parse(options.cid), options.out), asked: [...asked] }))
clearInterval(alive)
await helia.stop()
process.exit(0)
