// @tus/server with its S3 store, as its README shows: node tus_s3_server.mjs PORT
// The bucket is in BENCH_S3, as JSON: {"url", "keys", "region", "bucket"}.
import { S3Store } from '@tus/s3-store'
import { Server } from '@tus/server'

const [port] = process.argv.slice(2)
const { url, keys, region, bucket } = JSON.parse(process.env.BENCH_S3)
const [accessKeyId, secretAccessKey] = keys
const datastore = new S3Store({
  partSize: 8 * 1024 * 1024,
  s3ClientConfig: {
    bucket,
    region,
    endpoint: url,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  },
})
const server = new Server({ path: '/files', datastore })
server.listen({ host: '127.0.0.1', port: Number(port) })
