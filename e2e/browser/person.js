// Somebody with a browser window of their own, who finds things by what they are called.

import assert from 'node:assert/strict';

export const PATIENCE_MS = 15_000;

export class Person {
  constructor(name, page) {
    this.name = name;
    this.page = page;
    this.messages = page.getByRole('log', { name: 'Messages' });
    this.status = page.getByRole('status');
    this.problems = [];
    page.on('pageerror', error => this.problems.push(error));
  }

  /** Opens the page in a window of its own and registers. */
  static async register(browser, url, name, options = {}) {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(PATIENCE_MS);
    const person = new Person(name, await context.newPage());
    await person.page.goto(url);
    await person.page.getByLabel('Name', { exact: true }).fill(name);
    await person.page.getByLabel('Password').fill('correct horse');
    await person.page.getByRole('button', { name: 'Register' }).click();
    await person.page.getByRole('button', { name: 'New chat' }).waitFor();
    return person;
  }

  /** Starts a direct chat with one, or a group with several. */
  async startChat(names, title = '') {
    await this.page.getByRole('button', { name: 'New chat' }).click();
    const dialog = this.page.getByRole('dialog', { name: 'New chat' });
    await dialog.getByLabel('Names').fill(names.join(', '));
    await dialog.getByLabel('Group title').fill(title);
    await dialog.getByRole('button', { name: 'Start' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await this.page.getByRole('textbox', { name: 'Message', exact: true }).waitFor();
  }

  conversation(title) {
    return this.page.getByRole('complementary', { name: 'Conversations' }).getByRole('listitem').filter({ hasText: title });
  }

  async openChat(title) {
    await this.conversation(title).click();
  }

  async type(text) {
    await this.page.getByRole('textbox', { name: 'Message', exact: true }).pressSequentially(text);
  }

  async say(text) {
    await this.page.getByRole('textbox', { name: 'Message', exact: true }).fill(text);
    await this.page.getByRole('button', { name: 'Send' }).click();
  }

  async sees(text) {
    await this.messages.getByText(text, { exact: true }).waitFor();
  }

  /** Waits for the badge of a conversation. */
  async hasUnread(title, count) {
    await this.conversation(title).getByLabel(`${count} unread`).waitFor({ state: count ? 'visible' : 'hidden' });
  }

  async texts() {
    return this.messages.locator('.text').allTextContents();
  }

  hadNoProblem() {
    assert.deepEqual(this.problems, [], `errors on ${this.name}'s page`);
  }
}
