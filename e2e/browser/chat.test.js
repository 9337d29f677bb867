// What a person sees: two windows register and chat, unread counts, a group, and a server that goes away and comes back.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { Person } from './person.js';
import { Server } from './server.js';

const artifacts = join(dirname(fileURLToPath(import.meta.url)), '../artifacts', process.env.GOCHAT_URL ? 'browser-kubernetes' : 'browser');
let server, browser, alice, bob;

before(async () => {
  await mkdir(artifacts, { recursive: true });
  server = await Server.start(join(artifacts, 'dev.log'));
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  alice = await Person.register(browser, server.url, 'alice');
  bob = await Person.register(browser, server.url, 'bob', { colorScheme: 'dark' });
});

after(async () => {
  await browser?.close();
  assert.equal(await server?.stop(), 0, 'the server did not end cleanly');
});

const picture = (person, name) => person.page.screenshot({ path: join(artifacts, `${name}.png`) });

test('two windows chat, and each sees what the other wrote and read', async () => {
  await alice.startChat(['bob']);
  await alice.say('hello bob');
  await bob.hasUnread('alice', 1);
  await picture(bob, 'unread-dark');
  await bob.openChat('alice');
  await bob.sees('hello bob');
  await bob.hasUnread('alice', 0);
  await alice.messages.getByText('read').waitFor();

  await bob.type('hi');
  await alice.page.getByText('typing …').waitFor();
  await bob.say('hello alice');
  await alice.sees('hello alice');
  await alice.page.getByText('online', { exact: true }).waitFor();
  assert.deepEqual(await alice.texts(), ['hello bob', 'hello alice']);
  assert.deepEqual(await bob.texts(), ['hello bob', 'hello alice']);
  await picture(alice, 'chat-light');
  await picture(bob, 'chat-dark');
});

test('a group of three is one conversation for all of them', async () => {
  const carol = await Person.register(browser, server.url, 'carol', { viewport: { width: 390, height: 844 } });
  await alice.startChat(['bob', 'carol'], 'lunch');
  await alice.say('who is in?');
  await bob.openChat('lunch');
  await bob.sees('who is in?');
  await bob.say('I am');
  await carol.hasUnread('lunch', 2);
  await picture(carol, 'phone-list');
  await carol.openChat('lunch');
  await carol.sees('I am');
  await picture(carol, 'phone-group');
  await carol.say('me too');
  for (const person of [alice, bob, carol]) {
    await person.sees('me too');
    assert.deepEqual(await person.texts(), ['who is in?', 'I am', 'me too']);
  }
  await alice.page.getByRole('button', { name: 'Members' }).click();
  await alice.page.getByRole('dialog', { name: 'Members' }).getByText('alice (owner)').waitFor();
  await picture(alice, 'members');
  await alice.page.getByRole('button', { name: 'Close' }).click();
  carol.hadNoProblem();
  await carol.page.context().close();
});

test('a killed server is said to be away, and what was written meanwhile arrives when it is back', async () => {
  await alice.openChat('bob');
  await bob.openChat('alice');
  await server.kill();
  await alice.status.getByText('Connection lost').waitFor();
  await picture(alice, 'reconnecting');
  await alice.say('are you still there?');
  await server.restart();
  await bob.sees('are you still there?');
  await bob.say('I am back');
  await alice.sees('I am back');
  await alice.status.waitFor({ state: 'hidden' });
  assert.deepEqual(await alice.texts(), ['hello bob', 'hello alice', 'are you still there?', 'I am back']);
});

test('a window that is opened again still has its session and its history', async () => {
  await alice.page.reload();
  await alice.openChat('bob');
  await alice.sees('I am back');
  await alice.page.getByRole('button', { name: 'Log out' }).click();
  await alice.page.getByRole('button', { name: 'Register' }).waitFor();
  await picture(alice, 'login');
  alice.hadNoProblem();
  bob.hadNoProblem();
});
