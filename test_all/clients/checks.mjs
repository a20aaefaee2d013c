// What the programs of the JavaScript clients share: comparing, waiting, keys of all slots.
//
// The clients' modules lie in $KVS_CLIENT_MODULES, where `npm ci` put them, not beside the programs.

import { createRequire } from 'node:module';
import { isDeepStrictEqual, inspect } from 'node:util';

export const load = createRequire(`${process.env.KVS_CLIENT_MODULES}/`);
export const HOST = '127.0.0.1';
export const BINARY = Buffer.from([
  ...Array(256).keys(), ...Buffer.from('\r\n$-1\r\n*0\r\n'), ...[...Array(256).keys()].reverse(),
]);

const SLOTS = 16384;
const slotOf = load('cluster-key-slot');
let compared = 0;

function fail(text) {
  console.log(text);
  process.exit(1);
}

export function same(what, found, expected) {
  if (!isDeepStrictEqual(found, expected)) {
    const show = (value) => inspect(value, { maxArrayLength: 20, maxStringLength: 200 });
    fail(`${what}: expected ${show(expected)}, found ${show(found)}`);
  }
  ++compared;
}

// The promise has to be refused with an error of the server whose message begins with `text`.
export async function refused(what, promise, text) {
  let reply;
  try {
    reply = await promise;
  } catch (error) {
    return same(what, String(error.message).slice(0, text.length), text);
  }
  fail(`${what}: expected an error '${text}', found the reply ${inspect(reply)}`);
}

// Asks `done` until it says yes.  What it throws counts as no, if `mayFail` says so of the error.
export async function until(what, done, mayFail = () => false) {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    try {
      if (await done()) {
        return;
      }
    } catch (error) {
      if (!mayFail(error)) {
        fail(`${what}: ${error.message}`);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  fail(`${what}: not within 30 seconds`);
}

// One key for each slot whose number `step` divides.
export function keyOfEachSlot(step) {
  const keys = new Map();
  for (let number = 0; keys.size < Math.ceil(SLOTS / step); ++number) {
    const key = `key:${number}`;
    const slot = slotOf(key);
    if (slot % step === 0 && !keys.has(slot)) {
      keys.set(slot, key);
    }
  }
  return [...keys.values()];
}

export function* chunks(list, size) {
  for (let i = 0; i < list.length; i += size) {
    yield list.slice(i, i + size);
  }
}

export function infoField(info, name) {
  const line = String(info).split('\r\n').find((text) => text.startsWith(`${name}:`));
  return line?.slice(name.length + 1);
}

// Fields of a line of CLIENT INFO or CLIENT LIST.
export function clientFields(line) {
  return Object.fromEntries(String(line).trim().split(' ').map((field) => field.split(/=(.*)/s)));
}

// Runs the part that the command line names and ends the process.
export async function main(parts) {
  const [part, port, ...rest] = process.argv.slice(2);
  process.on('unhandledRejection', (error) => fail(`nobody waited for: ${error?.stack ?? error}`));
  try {
    await parts[part](Number(port), ...rest);
  } catch (error) {
    fail(error?.stack ?? String(error));
  }
  console.log(`${compared} values compared`);
  process.exit(0);
}
