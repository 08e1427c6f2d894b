'use strict'

// The version endpoints and get_screen_capture on Express and Sequelize, with
// the parts that a SealTalk server on Node has: CORS, compression, an encrypted
// session cookie, public ids. Like those servers it asks for no friendship.
// The environment has its settings.

const bodyParser = require('body-parser')
const compression = require('compression')
const cookieParser = require('cookie-parser')
const cors = require('cors')
const crypto = require('crypto')
const express = require('express')
const fs = require('fs')
const path = require('path')
const semver = require('semver')
const Sequelize = require('sequelize')

const { DB_PORT, DB_NAME, N3D_KEY, VERSIONS, PORT } = process.env

// decode returns the number behind a public id.
const decode = (() => {
  const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
  const size = alphabet.length
  const keyCode = [...N3D_KEY].reduce((sum, c, i) => sum + c.charCodeAt(0) * 128 ** (i % 7), 0)
  const permutations = []
  let symbols = [...alphabet]
  for (let j = 0; j < size; j++) {
    const permutation = []
    for (let l = 0; l < size; l++) {
      const left = size - l
      const s = (keyCode - size + j) % left
      permutation.push(symbols[s])
      symbols[s] = symbols[left - 1]
    }
    permutations.push(permutation)
    symbols = [...permutation]
  }
  return publicId => {
    const first = permutations[0].indexOf(publicId[0])
    const permutation = permutations[first]
    let n = first
    let last = 0
    for (let i = 1; i < publicId.length; i++) {
      const place = permutation.indexOf(publicId[i])
      n += ((place - last + size) % size) * size ** i
      last = place
    }
    return keyCode - n
  }
})()

// The session cookie is the user's number, encrypted.
const key = crypto.randomBytes(16)
const seal = user => {
  const cipher = crypto.createCipheriv('aes-128-ecb', key, null)
  return cipher.update(String(user), 'utf8', 'hex') + cipher.final('hex')
}
const open = cookie => {
  const cipher = crypto.createDecipheriv('aes-128-ecb', key, null)
  return Number(cipher.update(cookie, 'hex', 'utf8') + cipher.final('utf8'))
}

const database = new Sequelize(DB_NAME, 'root', '', {
  host: '127.0.0.1',
  port: Number(DB_PORT),
  dialect: 'mysql',
  timezone: '+08:00',
  logging: false,
  pool: { max: 16 }
})
const ScreenStatus = database.define('screen_statuses', {
  id: { type: Sequelize.INTEGER.UNSIGNED, primaryKey: true, autoIncrement: true },
  operateId: Sequelize.CHAR(40),
  conversationType: Sequelize.INTEGER.UNSIGNED,
  status: Sequelize.INTEGER.UNSIGNED
})

const read = name => JSON.parse(fs.readFileSync(path.join(VERSIONS, name)))
const release = read('squirrel.json')
const clients = read('client_version.json')

const app = express()
app.use(cors({ origin: true, credentials: true }))
app.use(compression())
app.use(cookieParser())
app.use(bodyParser.json())

app.post('/demo/login', (req, res) => {
  res.cookie('session', seal(req.body.userId)).json({ code: 200 })
})

app.get('/misc/latest_update', (req, res) => {
  const version = req.query.version
  if (semver.valid(version) === null) return res.status(400).send('Invalid version.')
  if (semver.gte(version, release.version)) return res.status(204).end()
  res.json(release)
})

app.get('/misc/client_version', (req, res) => res.json(clients))

app.get('/misc/mobile_version', (req, res) => res.json({ code: 200, result: clients }))

app.post('/misc/get_screen_capture', async (req, res, next) => {
  try {
    const { conversationType, targetId } = req.body
    const target = decode(targetId)
    let operateId = String(target)
    if (conversationType === 1) operateId = [open(req.cookies.session), target].sort((a, b) => a - b).join('_')
    const row = await ScreenStatus.findOne({ where: { operateId, conversationType } })
    res.json({ code: 200, result: { status: row ? row.status : 0 } })
  } catch (err) {
    next(err)
  }
})

app.listen(Number(PORT), '127.0.0.1')
