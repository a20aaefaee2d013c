// Uses a server as programs with ioredis do, and compares every reply.
//
// usage: node ioredis.mjs plain PORT PREFIX         one server; all keys begin with PREFIX
//        node ioredis.mjs cluster PORT MASTERS STEP     so many masters; every STEP-th slot
//        node ioredis.mjs password PORT PASSWORD
//        node ioredis.mjs restart PORT PREFIX       the caller restarts the server after "serving"
//        node ioredis.mjs handover PORT PREFIX      another process takes over after "serving"
//
// Ends with "N values compared", or with exit code 1 and the first difference.

import {
  BINARY, HOST, chunks, clientFields, infoField, keyOfEachSlot, load, main, refused, same, until,
} from './checks.mjs';

const { Redis } = load('ioredis');
const { version } = load('ioredis/package.json');

async function strings(client, prefix) {
  const [key, other, missing] = ['key', 'other', 'missing'].map((name) => prefix + name);
  same('SET', await client.set(key, 'value'), 'OK');
  same('GET', await client.get(key), 'value');
  same('GET of no key', await client.get(missing), null);
  same('SET NX', await client.set(key, 'x', 'NX'), null);
  same('SET GET', await client.set(key, 'next', 'GET'), 'value');
  same('MSET', await client.mset({ [key]: '1', [other]: '2' }), 'OK');
  same('MGET', await client.mget(other, missing, key), ['2', null, '1']);
  same('INCR', await client.incr(key), 2);
  same('INCRBY', await client.incrby(key, 40), 42);
  same('INCRBYFLOAT', await client.incrbyfloat(other, 0.5), '2.5');
  same('APPEND', await client.append(key, '0'), 3);
  same('EXISTS', await client.exists(key, other, missing), 2);
  same('TYPE', await client.type(key), 'string');
  same('DEL', await client.del(key, other, missing), 2);
  same('GET after DEL', await client.get(key), null);

  same('SET EX', await client.set(key, 'value', 'EX', 100), 'OK');
  const ttl = await client.ttl(key);
  same('TTL', ttl >= 90 && ttl <= 100, true);
  same('PERSIST', await client.persist(key), 1);
  same('TTL without expiry', await client.ttl(key), -1);
  same('EXPIRE', await client.expire(key, 200), 1);
  const longer = await client.pttl(key);
  same('PTTL after EXPIRE', longer >= 190_000 && longer <= 200_000, true);
  same('EXPIRE of no key', await client.expire(missing, 200), 0);
  same('TTL of no key', await client.ttl(missing), -2);
  same('EXPIRE in the past', await client.expire(key, -1), 1);
  same('GET of what expired', await client.get(key), null);

  const binaryKey = Buffer.concat([Buffer.from(prefix), BINARY]);
  const large = Buffer.alloc(2 << 20, BINARY);
  same('SET of bytes', await client.set(binaryKey, BINARY), 'OK');
  same('GET of bytes', await client.getBuffer(binaryKey), BINARY);
  same('SET of 2 MiB', await client.set(key, large), 'OK');
  same('GET of 2 MiB', await client.getBuffer(key), large);
  same('DEL of both', await client.del(binaryKey, key), 2);
}

async function errors(client, prefix) {
  const key = `${prefix}text`;
  const id = await client.client('ID');
  await client.set(key, 'text');
  await refused('INCR of a text', client.incr(key), 'ERR value is not an integer or out of range');
  await refused('unknown command', client.call('NOSUCH', 'a'),
    "ERR unknown command 'NOSUCH', with args beginning with: 'a'");
  await refused('GET without a key', client.call('GET'),
    "ERR wrong number of arguments for 'get' command");
  const replies = await client.pipeline().set(key, 'text').incr(key).get(key).exec();
  same('pipeline with an error', replies.map(([error, value]) => error?.message ?? value),
    ['OK', 'ERR value is not an integer or out of range', 'text']);
  same('the connection after errors', await client.client('ID'), id);
  same('DEL', await client.del(key), 1);
}

async function scanned(client, options) {
  const keys = [];
  for await (const page of client.scanStream(options)) {
    keys.push(...page);
  }
  return keys.sort();
}

async function pipelines(client, prefix) {
  const names = [...Array(1000).keys()].map((i) => `${prefix}many:${i}`);
  const writes = client.pipeline();
  const reads = client.pipeline();
  names.forEach((name, i) => {
    writes.set(name, `value ${i}`);
    reads.get(name);
  });
  same('1000 SET', await writes.exec(), names.map(() => [null, 'OK']));
  same('1000 GET', await reads.exec(), names.map((_, i) => [null, `value ${i}`]));
  same('1000 GET at once', await Promise.all(names.map((name) => client.get(name))),
    names.map((_, i) => `value ${i}`));
  same('DBSIZE', await client.dbsize(), 1000);
  const expected = [...names].sort();
  same('SCAN', await scanned(client, { count: 37 }), expected);
  same('SCAN MATCH', await scanned(client, { match: '*many:77*' }),
    expected.filter((name) => name.includes('many:77')));
  same('KEYS', (await client.keys('*')).sort(), expected);
  same('UNLINK of 1000', await client.unlink(...names), 1000);
  same('DBSIZE after UNLINK', await client.dbsize(), 0);
}

async function collections(client, prefix) {
  const tag = prefix.includes('{') ? prefix : `{${prefix}}`;
  const [hash, list, other, set, zset] = [...'hlosz'].map((name) => tag + name);
  same('HSET', await client.hset(hash, { a: '1', b: '2' }), 2);
  same('HGETALL', await client.hgetall(hash), { a: '1', b: '2' });
  same('RPUSH', await client.rpush(list, 'a', 'b', 'c'), 3);
  same('LRANGE', await client.lrange(list, 0, -1), ['a', 'b', 'c']);
  same('LMOVE', await client.lmove(list, other, 'LEFT', 'RIGHT'), 'a');
  same('BLPOP', await client.blpop(other, list, 1), [other, 'a']);
  same('BLPOP of nothing', await client.blpop(other, 0.05), null);
  same('SADD', await client.sadd(set, 'a', 'b'), 2);
  same('SMEMBERS', (await client.smembers(set)).sort(), ['a', 'b']);
  same('ZADD', await client.zadd(zset, 1.5, 'a', -1, 'b'), 2);
  same('ZRANGE', await client.zrange(zset, 0, -1), ['b', 'a']);
  same('MULTI and EXEC', await client.multi().hget(hash, 'a').llen(list).scard(set).exec(),
    [[null, '1'], [null, 2], [null, 2]]);
  same('DEL', await client.del(hash, list, set, zset), 4);
}

async function scripts(client, prefix) {
  const key = `${prefix}counter`;
  client.defineCommand('addTo', {
    numberOfKeys: 1, lua: "return redis.call('incrby', KEYS[1], ARGV[1])" });
  same('a script', await client.addTo(key, 5), 5);
  same('SCRIPT FLUSH', await client.script('FLUSH'), 'OK');
  same('a script that was forgotten', await client.addTo(key, 2), 7);
  same('EVAL', await client.eval('return {KEYS[1], ARGV[1], 3}', 1, key, 'x'), [key, 'x', 3]);
  same('DEL of a counter', await client.del(key), 1);
}

async function groups(client, prefix) {
  const key = `${prefix}stream`;
  for (const n of [1, 2, 3]) {
    same('XADD', await client.xadd(key, `${n}-0`, 'n', `${n}`), `${n}-0`);
  }
  same('XGROUP CREATE', await client.xgroup('CREATE', key, 'crew', '0'), 'OK');
  const entry = (n) => [`${n}-0`, ['n', `${n}`]];
  const read = async (consumer, ...words) => {
    const found = await client.xreadgroup('GROUP', 'crew', consumer, ...words, 'STREAMS', key, '>');
    return found === null ? null : Object.values(Object.fromEntries(Array.isArray(found[0])
      ? found : [found]))[0];
  };
  same('XREADGROUP of ann', await read('ann', 'COUNT', 1), [entry(1)]);
  same('XREADGROUP of bob', await read('bob', 'BLOCK', 1000), [entry(2), entry(3)]);
  same('XREADGROUP of nothing', await read('bob', 'BLOCK', 10), null);
  same('XACK', await client.xack(key, 'crew', '1-0', '2-0'), 2);
  same('XPENDING', await client.xpending(key, 'crew'), [1, '3-0', '3-0', [['bob', '1']]]);
  same('XAUTOCLAIM', await client.xautoclaim(key, 'crew', 'ann', 0, '-'), ['0-0', [entry(3)], []]);
  same('DEL of a stream', await client.del(key), 1);
}

async function messages(client, prefix) {
  const listener = client.duplicate();
  const channel = `${prefix}news`;
  const pattern = `${prefix}n?w*`;
  const seen = [];
  listener.on('message', (...message) => seen.push(['message', ...message]));
  listener.on('pmessage', (...message) => seen.push(['pmessage', ...message]));
  same('SUBSCRIBE', await listener.subscribe(channel), 1);
  same('PSUBSCRIBE', await listener.psubscribe(pattern), 2);
  same('PUBLISH', await client.publish(channel, 'hello'), 2);
  await until('both messages', () => seen.length >= 2);
  same('messages', seen.sort(),
    [['message', channel, 'hello'], ['pmessage', pattern, channel, 'hello']]);
  same('UNSUBSCRIBE', await listener.unsubscribe(channel), 1);
  same('PUNSUBSCRIBE', await listener.punsubscribe(pattern), 0);
  listener.disconnect();
}

async function connection(port, protocol) {
  const client = new Redis(port, HOST, { connectionName: 'my-name', protocol });
  same('PING', await client.ping(), 'PONG');
  same('ECHO', await client.echoBuffer(BINARY), BINARY);
  same('CLIENT GETNAME', await client.client('GETNAME'), 'my-name');
  same('CLIENT SETNAME', await client.client('SETNAME', 'other'), 'OK');
  const fields = clientFields(await client.client('INFO'));
  same('CLIENT INFO', [fields.name, fields['lib-name'], fields['lib-ver'], fields.resp],
    ['other', 'ioredis', version, String(protocol)]);
  same('INFO', infoField(await client.info(), 'redis_version'), '7.2.4');
  same('CONFIG GET', (await client.config('GET', 'maxclients'))[0], 'maxclients');
  await refused('SELECT 1', client.select(1), 'ERR DB index is out of range');
  same('QUIT', await client.quit(), 'OK');
}

async function plain(port, prefix) {
  for (const protocol of [3, 2]) {
    await connection(port, protocol);
    const client = protocol === 3 ? new Redis(port, HOST) : new Redis(port, HOST, { protocol });
    same('FLUSHALL', await client.flushall(), 'OK');
    await strings(client, prefix);
    await pipelines(client, prefix);
    await errors(client, prefix);
    await collections(client, prefix);
    await groups(client, prefix);
    await scripts(client, prefix);
    await messages(client, prefix);
  }
  const typed = new Redis(port, HOST, { replyMapping: 'resp3' });
  const options = await typed.config('GET', 'maxclients');
  same('CONFIG GET is a map in RESP3', Object.keys(options), ['maxclients']);
  const together = new Redis(port, HOST, { enableAutoPipelining: true });
  const numbers = [...Array(100).keys()];
  same('INCR in automatic pipelines',
    await Promise.all(numbers.map(() => together.incr(`${prefix}counter`))),
    numbers.map((i) => i + 1));
  same('DEL', await together.del(`${prefix}counter`), 1);
}

async function cluster(port, masters, step) {
  const client = new Redis.Cluster([{ host: HOST, port }]);
  same('PING', await client.ping(), 'PONG');
  const nodes = client.nodes('master');
  same('masters', nodes.length, Number(masters));
  for (const node of nodes) {
    same('FLUSHALL', await node.flushall(), 'OK');
  }
  await strings(client, '{tag}');

  const keys = keyOfEachSlot(Number(step));
  for (const part of chunks(keys, 1000)) {
    same('SET in each slot', await Promise.all(part.map((key) => client.set(key, `value of ${key}`))),
      part.map(() => 'OK'));
    same('GET in each slot', await Promise.all(part.map((key) => client.get(key))),
      part.map((key) => `value of ${key}`));
  }
  await counts(client, keys);

  const pipeline = client.pipeline();
  for (let i = 0; i < 1000; ++i) {
    pipeline.set(`{tag}${i}`, i);
  }
  same('1000 SET of one slot', await pipeline.exec(), Array(1000).fill([null, 'OK']));
  same('MGET of one slot', await client.mget('{tag}0', '{tag}999', '{tag}none'), ['0', '999', null]);
  await refused('INCR of a text', client.incr(keys[0]), 'ERR value is not an integer');
  await overSlots(client, nodes, keys);
}

async function counts(client, keys) {
  const found = new Set();
  for (const node of client.nodes('master')) {
    (await scanned(node, { count: 500 })).forEach((key) => found.add(key));
  }
  same('SCAN', [...found].sort(), [...keys].sort());
  // Proxies that share the slots know from READONLY that this client adds their answers up.
  let keysTogether = 0;
  for (const node of client.nodes('master')) {
    same('READONLY', await node.readonly(), 'OK');
    keysTogether += await node.dbsize();
  }
  same('DBSIZE', keysTogether, keys.length);
}

// A proxy splits what may be split and refuses the rest as Redis does.
async function overSlots(client, nodes, keys) {
  if (infoField(await nodes[0].info('server'), 'executable') !== 'kv_proxy') {
    return;
  }
  const part = keys.slice(0, 100);
  same('MGET over slots', await client.mget(part), part.map((key) => `value of ${key}`));
  const crossSlot = "CROSSSLOT Keys in request don't hash to the same slot";
  await refused('MSETNX over slots', client.msetnx('new:1', '1', 'new:2', '2'), crossSlot);
  await refused('RENAME over slots', client.rename(keys[0], keys[1]), crossSlot);
  same('the key stays', await client.get(keys[0]), `value of ${keys[0]}`);
  same('DEL over slots', await client.del(part), part.length);
}

async function password(port, secret) {
  const options = { port, host: HOST, retryStrategy: null };
  const expectRefusal = async (what, more, text) => {
    const client = new Redis({ ...options, ...more, maxRetriesPerRequest: 0 });
    const seen = [];
    client.on('error', (error) => seen.push(error.message));
    await client.get('k').then((value) => seen.push(`the reply ${value}`),
      (error) => seen.push(error.message));
    same(`${what}: ${seen.join('; ')}`, seen.some((message) => message.startsWith(text)), true);
    client.disconnect();
  };
  await expectRefusal('no password', {}, 'NOAUTH ');
  await expectRefusal('wrong password', { password: `${secret}x` }, 'WRONGPASS ');
  await expectRefusal('wrong user', { username: 'nobody', password: secret }, 'WRONGPASS ');
  for (const more of [{ password: secret }, { username: 'default', password: secret },
    { password: secret, protocol: 2 }]) {
    const client = new Redis({ ...options, ...more });
    same('SET with a password', await client.set('k', 'v'), 'OK');
    same('GET with a password', await client.get('k'), 'v');
    client.disconnect();
  }
  const byUrl = new Redis(`redis://:${secret}@${HOST}:${port}/0`);
  same('GET by URL', await byUrl.get('k'), 'v');
}

async function restart(port, prefix) {
  const client = new Redis(port, HOST);
  client.on('error', () => {}); // What matters comes back from the commands.
  same('SET', await client.set(`${prefix}kept`, '1'), 'OK');
  const before = infoField(await client.info('server'), 'process_id');
  console.log('serving');
  await until('the restart', async () =>
    infoField(await client.info('server'), 'process_id') !== before);
  same('GET after the restart', await client.get(`${prefix}kept`), '1');
  same('INCR after the restart', await client.incr(`${prefix}kept`), 2);
}

// Counts without a pause while the process changes: nothing may fail, nothing be done twice.
async function handover(port, prefix) {
  const client = new Redis(port, HOST);
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
