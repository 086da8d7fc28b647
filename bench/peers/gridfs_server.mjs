// GridFS behind Express, as many sites have it: node gridfs_server.mjs URL DATABASE PORT
// The bucket of the Node driver with its defaults; only the write concern is Lading's.
import { pipeline } from 'node:stream/promises'
import express from 'express'
import { GridFSBucket, MongoClient } from 'mongodb'

const [url, database, port] = process.argv.slice(2)
const client = await new MongoClient(url).connect()
const bucket = new GridFSBucket(client.db(database), { writeConcern: { w: 'majority', j: true } })
const app = express()

app.post('/files/:name', async (request, response) => {
  await pipeline(request, bucket.openUploadStream(request.params.name))
  response.status(201).end()
})

app.get('/files/:name', async (request, response) => {
  const [file] = await bucket.find({ filename: request.params.name }).limit(1).toArray()
  response.set('Content-Length', String(file.length))
  await pipeline(bucket.openDownloadStream(file._id), response)
})

app.listen(Number(port), '127.0.0.1')
