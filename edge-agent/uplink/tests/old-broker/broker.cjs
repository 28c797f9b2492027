// An MQTT broker that knows 3.1.1 and nothing newer; forgets everything when it ends.
// Usage: NODE_PATH=…/node_modules node broker.cjs PORT
'use strict'
const broker = require('aedes')()
require('node:net').createServer(broker.handle).listen(Number(process.argv[2]), '127.0.0.1')
