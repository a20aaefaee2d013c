// Uses a server as programs with node-redis do, and compares every reply.
//
// usage: node node_redis.mjs plain PORT PREFIX       one server; all keys begin with PREFIX
//        node node_redis.mjs cluster PORT MASTERS STEP   so many masters; every STEP-th slot
//        node node_redis.mjs password PORT PASSWORD
//        node node_redis.mjs restart PORT PREFIX     the caller restarts the server after "serving"
//        node node_redis.mjs handover PORT PREFIX    another process takes over after "serving"
//
// Ends with "N values compared", or with exit code 1 and the first difference.

import {
  BINARY, HOST, chunks, clientFields, infoField, keyOfEachSlot, load, main, refused, same, until,
} from './checks.mjs';

const { RESP_TYPES, createClient, createCluster } = load('redis');
const { version } = load('@redis/client/package.json');

async function open(port, options = {}) {
  const client = createClient({ url: `redis://${HOST}:${port}`, ...options });
  client.on('error', () => {}); // What matters comes back from the commands.
  return client.connect();
}

// The same client, with strings of bytes instead of text.
function inBytes(client) {
  return client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
}

async function strings(client, prefix) {
  const [key, other, missing] = ['key', 'other', 'missing'].map((name) => prefix + name);
  same('SET', await client.set(key, 'value'), 'OK');
  same('GET', await client.get(key), 'value');
  same('GET of no key', await client.get(missing), null);
  same('SET NX', await client.set(key, 'x', { condition: 'NX' }), null);
  same('SET GET', await client.set(key, 'next', { GET: true }), 'value');
  same('MSET', await client.mSet({ [key]: '1', [other]: '2' }), 'OK');
  same('MGET', await client.mGet([other, missing, key]), ['2', null, '1']);
  same('INCR', await client.incr(key), 2);
  same('INCRBY', await client.incrBy(key, 40), 42);
  same('INCRBYFLOAT', await client.incrByFloat(other, 0.5), '2.5');
  same('APPEND', await client.append(key, '0'), 3);
  same('EXISTS', await client.exists([key, other, missing]), 2);
  same('TYPE', await client.type(key), 'string');
  same('DEL', await client.del([key, other, missing]), 2);
  same('GET after DEL', await client.get(key), null);

  same('SET EX', await client.set(key, 'value', { expiration: { type: 'EX', value: 100 } }), 'OK');
  const ttl = await client.ttl(key);
  same('TTL', ttl >= 90 && ttl <= 100, true);
  same('PERSIST', await client.persist(key), 1);
  same('TTL without expiry', await client.ttl(key), -1);
  same('EXPIRE', await client.expire(key, 200), 1);
  const longer = await client.pTTL(key);
  same('PTTL after EXPIRE', longer >= 190_000 && longer <= 200_000, true);
  same('EXPIRE of no key', await client.expire(missing, 200), 0);
  same('TTL of no key', await client.ttl(missing), -2);
  same('EXPIRE in the past', await client.expire(key, -1), 1);
  same('GET of what expired', await client.get(key), null);

  const binaryKey = Buffer.concat([Buffer.from(prefix), BINARY]);
  const large = Buffer.alloc(2 << 20, BINARY);
  const bytes = inBytes(client);
  same('SET of bytes', await client.set(binaryKey, BINARY), 'OK');
  same('GET of bytes', await bytes.get(binaryKey), BINARY);
  same('SET of 2 MiB', await client.set(key, large), 'OK');
  same('GET of 2 MiB', await bytes.get(key), large);
  same('DEL of both', await client.del([binaryKey, key]), 2);
}

async function errors(client, prefix) {
  const key = `${prefix}text`;
  const id = await client.clientId();
  await client.set(key, 'text');
  await refused('INCR of a text', client.incr(key), 'ERR value is not an integer or out of range');
  await refused('unknown command', client.sendCommand(['NOSUCH', 'a']),
    "ERR unknown command 'NOSUCH', with args beginning with: 'a'");
  await refused('GET without a key', client.sendCommand(['GET']),
    "ERR wrong number of arguments for 'get' command");
  same('the connection after errors', await client.clientId(), id);
  same('DEL', await client.del(key), 1);
}

async function scanned(client, options) {
  const keys = [];
  for await (const page of client.scanIterator(options)) {
    keys.push(...page);
  }
  return keys.sort();
}

async function pipelines(client, prefix) {
  const names = [...Array(1000).keys()].map((i) => `${prefix}many:${i}`);
  const writes = client.multi();
  names.forEach((name, i) => writes.set(name, `value ${i}`));
  same('1000 SET', await writes.execAsPipeline(), names.map(() => 'OK'));
  same('1000 GET', await Promise.all(names.map((name) => client.get(name))),
    names.map((_, i) => `value ${i}`));
  same('DBSIZE', await client.dbSize(), 1000);
  const expected = [...names].sort();
  same('SCAN', await scanned(client, { COUNT: 37 }), expected);
  same('SCAN MATCH', await scanned(client, { MATCH: '*many:77*' }),
    expected.filter((name) => name.includes('many:77')));
  same('KEYS', (await client.keys('*')).sort(), expected);
  same('UNLINK of 1000', await client.unlink(names), 1000);
  same('DBSIZE after UNLINK', await client.dbSize(), 0);
}

async function collections(client, prefix) {
  const tag = prefix.includes('{') ? prefix : `{${prefix}}`;
  const [hash, list, other, set, zset] = [...'hlosz'].map((name) => tag + name);
  same('HSET', await client.hSet(hash, { a: '1', b: '2' }), 2);
  same('HGETALL', { ...await client.hGetAll(hash) }, { a: '1', b: '2' });
  same('RPUSH', await client.rPush(list, ['a', 'b', 'c']), 3);
  same('LRANGE', await client.lRange(list, 0, -1), ['a', 'b', 'c']);
  same('LMOVE', await client.lMove(list, other, 'LEFT', 'RIGHT'), 'a');
  same('BLPOP', { ...await client.blPop([other, list], 1) }, { key: other, element: 'a' });
  same('BLPOP of nothing', await client.blPop(other, 0.05), null);
  same('SADD', await client.sAdd(set, ['a', 'b']), 2);
  same('SMEMBERS', [...await client.sMembers(set)].sort(), ['a', 'b']);
  same('ZADD', await client.zAdd(zset, [{ score: 1.5, value: 'a' }, { score: -1, value: 'b' }]), 2);
  same('ZRANGE', await client.zRange(zset, 0, -1), ['b', 'a']);
  same('ZSCORE', await client.zScore(zset, 'a'), 1.5);
  same('MULTI and EXEC', await client.multi().hGet(hash, 'a').lLen(list).sCard(set).exec(),
    ['1', 2, 2]);
  same('DEL', await client.del([hash, list, set, zset]), 4);
}

async function messages(client, prefix) {
  const listener = await client.duplicate().connect();
  const channel = `${prefix}news`;
  const pattern = `${prefix}n?w*`;
  const seen = [];
  await listener.subscribe(channel, (message, from) => seen.push(['message', from, message]));
  await listener.pSubscribe(pattern, (message, from) => seen.push(['pmessage', from, message]));
  same('PUBLISH', await client.publish(channel, 'hello'), 2);
  await until('both messages', () => seen.length >= 2);
  same('messages', seen.sort(), [['message', channel, 'hello'], ['pmessage', channel, 'hello']]);
  await listener.unsubscribe(channel);
  await listener.pUnsubscribe(pattern);
  await listener.close();
}

async function connection(port, protocol) {
  const client = await open(port, { name: 'my-name', RESP: protocol });
  same('PING', await client.ping(), 'PONG');
  same('ECHO', await inBytes(client).echo(BINARY), BINARY);
  same('CLIENT GETNAME', await client.clientGetName(), 'my-name');
  same('CLIENT SETNAME', await client.clientSetName('other'), 'OK');
  const fields = clientFields(await client.sendCommand(['CLIENT', 'INFO']));
  same('CLIENT INFO', [fields.name, fields['lib-name'], fields['lib-ver'], fields.resp],
    ['other', 'node-redis', version, String(protocol)]);
  same('INFO', infoField(await client.info(), 'redis_version'), '7.2.4');
  same('CONFIG GET', Object.keys(await client.configGet('maxclients')), ['maxclients']);
  const hello = await client.sendCommand(['HELLO', String(protocol)]);
  same('HELLO', protocol === 3 ? hello.proto : hello[hello.indexOf('proto') + 1], protocol);
  await refused('SELECT 1', client.select(1), 'ERR DB index is out of range');
  await client.close();
}

async function plain(port, prefix) {
  for (const protocol of [3, 2]) {
    await connection(port, protocol);
    const client = await open(port, protocol === 3 ? {} : { RESP: protocol });
    same('FLUSHALL', await client.flushAll(), 'OK');
    await strings(client, prefix);
    await pipelines(client, prefix);
    await errors(client, prefix);
    await collections(client, prefix);
    await messages(client, prefix);
    await client.close();
  }
}

async function cluster(port, masters, step) {
  const client = createCluster({ rootNodes: [{ url: `redis://${HOST}:${port}` }] });
  await client.connect();
  same('masters', client.masters.length, Number(masters));
  const nodes = await Promise.all(client.masters.map((master) => client.nodeClient(master)));
  for (const node of nodes) {
    same('FLUSHALL', await node.flushAll(), 'OK');
  }
  await strings(client, '{tag}');

  const keys = keyOfEachSlot(Number(step));
  for (const part of chunks(keys, 1000)) {
    same('SET in each slot', await Promise.all(part.map((key) => client.set(key, `value of ${key}`))),
      part.map(() => 'OK'));
    same('GET in each slot', await Promise.all(part.map((key) => client.get(key))),
      part.map((key) => `value of ${key}`));
  }
  await counts(nodes, keys);

  const pipeline = client.multi();
  for (let i = 0; i < 1000; ++i) {
    pipeline.set(`{tag}${i}`, String(i));
  }
  same('1000 SET of one slot', await pipeline.execAsPipeline(), Array(1000).fill('OK'));
  same('MGET of one slot', await client.mGet(['{tag}0', '{tag}999', '{tag}none']),
    ['0', '999', null]);
  await refused('INCR of a text', client.incr(keys[0]), 'ERR value is not an integer');
  await overSlots(client, nodes, keys);
}

async function counts(nodes, keys) {
  const found = new Set();
  for (const node of nodes) {
    (await scanned(node, { COUNT: 500 })).forEach((key) => found.add(key));
  }
  same('SCAN', [...found].sort(), [...keys].sort());
  // Proxies that share the slots know from READONLY that this client adds their answers up.
  let keysTogether = 0;
  for (const node of nodes) {
    same('READONLY', await node.readonly(), 'OK');
    keysTogether += await node.dbSize();
  }
  same('DBSIZE', keysTogether, keys.length);
}

// A proxy splits what may be split and refuses the rest as Redis does.
async function overSlots(client, nodes, keys) {
  if (infoField(await nodes[0].info('server'), 'executable') !== 'kv_proxy') {
    return;
  }
  const [node] = nodes; // The cluster client itself splits MGET and DEL; one server's does not.
  const part = keys.slice(0, 100);
  same('MGET over slots', await node.mGet(part), part.map((key) => `value of ${key}`));
  const crossSlot = "CROSSSLOT Keys in request don't hash to the same slot";
  await refused('MSETNX over slots', node.mSetNX({ 'new:1': '1', 'new:2': '2' }), crossSlot);
  await refused('RENAME over slots', node.rename(keys[0], keys[1]), crossSlot);
  same('the key stays', await node.get(keys[0]), `value of ${keys[0]}`);
  same('DEL over slots', await node.del(part), part.length);
}

async function password(port, secret) {
  const noMore = { host: HOST, port, reconnectStrategy: false };
  const expectRefusal = async (what, more, text) => {
    const client = createClient({ socket: noMore, ...more });
    client.on('error', () => {});
    await refused(what, client.connect().then(() => client.get('k')), text);
    client.destroy();
  };
  await expectRefusal('no password', {}, 'NOAUTH ');
  await expectRefusal('no password, RESP2', { RESP: 2 }, 'NOAUTH ');
  await expectRefusal('wrong password', { password: `${secret}x` }, 'WRONGPASS ');
  await expectRefusal('wrong user', { username: 'nobody', password: secret }, 'WRONGPASS ');
  for (const more of [{ password: secret }, { username: 'default', password: secret },
    { password: secret, RESP: 2 }]) {
    const client = await open(port, more);
    same('SET with a password', await client.set('k', 'v'), 'OK');
    same('GET with a password', await client.get('k'), 'v');
    await client.close();
  }
  const byUrl = await createClient({ url: `redis://:${secret}@${HOST}:${port}/0` }).connect();
  same('GET by URL', await byUrl.get('k'), 'v');
}

async function restart(port, prefix) {
  const client = await open(port);
  same('SET', await client.set(`${prefix}kept`, '1'), 'OK');
  const before = infoField(await client.info('server'), 'process_id');
  console.log('serving');
  // What was in flight is refused by the client; an error of the server would not be forgiven.
  const isClosed = (error) => /closed|ECONN/i.test(error.message + error.constructor.name);
  await until('the restart', async () =>
    infoField(await client.info('server'), 'process_id') !== before, isClosed);
  same('GET after the restart', await client.get(`${prefix}kept`), '1');
  same('INCR after the restart', await client.incr(`${prefix}kept`), 2);
}

// Counts without a pause while the process changes: nothing may fail, nothing be done twice.
async function handover(port, prefix) {
  const client = await open(port);
  const processId = async () => infoField(await client.info('server'), 'process_id');
  const before = await processId();
  const key = `${prefix}counter`;
  await client.del(key);
  console.log('serving');
  let count = 0;
  await until('the hand-over', async () => {
    for (let i = 0; i < 50; ++i) {
      same('INCR', await client.incr(key), ++count);
    }
    return await processId() !== before;
  });
  same('INCR by the successor', await client.incr(key), count + 1);
}

await main({ plain, cluster, password, restart, handover });
