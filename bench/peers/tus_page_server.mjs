// @tus/server with its file store beside a page that has @uppy/tus: node tus_page_server.mjs DIRECTORY PORT SCRIPT
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

const [directory, port, script] = process.argv.slice(2)
const tus = new Server({ path: '/files', datastore: new FileStore({ directory }) })
const page = {
  '/': ['text/html', '<!doctype html><title>Uppy</title><body></body>'],
  '/uppy.js': ['text/javascript', readFileSync(script)],
}

createServer((request, response) => {
  const [type, body] = page[request.url] ?? []
  if (type === undefined) return tus.handle(request, response)
  response.writeHead(200, { 'Content-Type': type }).end(body)
}).listen(Number(port), '127.0.0.1')
