// Wires the page: login, then connection → store → drawing. Each `draw…` shows the store as it is; nothing is kept in the DOM.

import { Api } from './api.js';
import { Connection } from './connection.js';
import { membersDialog, newChatDialog } from './dialogs.js';
import { Store } from './store.js';

const TYPING_EVERY_MS = 3_000;
const $ = selector => document.querySelector(selector);
const api = new Api();

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function showLogin() {
  $('#chat').hidden = true;
  $('#login').hidden = false;
  $('#login input').focus();
}

$('#login form').addEventListener('submit', async event => {
  event.preventDefault();
  const form = event.target;
  const error = form.querySelector('.error');
  const how = event.submitter?.value === 'register' ? 'register' : 'login';
  error.hidden = true;
  for (const button of form.querySelectorAll('button')) button.disabled = true;
  try {
    await api[how](form.elements.name.value.trim(), form.elements.password.value);
    form.reset();
    start();
  } catch (problem) {
    error.textContent = problem.message;
    error.hidden = false;
  } finally {
    for (const button of form.querySelectorAll('button')) button.disabled = false;
  }
});

function start() {
  const connection = new Connection(api);
  const store = new Store(api, connection);
  const page = new AbortController();
  const on = (selector, event, handler) => $(selector).addEventListener(event, handler, { signal: page.signal });

  const end = () => {
    page.abort();
    connection.stop();
    api.forget();
    showLogin();
  };

  $('#login').hidden = true;
  $('#chat').hidden = false;
  $('#chat').classList.remove('open');
  $('#me').textContent = store.me.displayName || store.me.name;

  let drawing = false;
  const draw = () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      drawList(store);
      drawConversation(store);
    });
  };
  store.addEventListener('change', draw);
  connection.addEventListener('up', () => setStatus(''));
  connection.addEventListener('down', ({ detail }) =>
    setStatus(`Connection lost. Reconnecting${detail.retryInMs > 1500 ? ` in ${Math.ceil(detail.retryInMs / 1000)} s` : ''} …`));
  connection.addEventListener('ended', end);
  document.addEventListener('visibilitychange', () => { store.markRead(); draw(); }, { signal: page.signal });

  const show = id => {
    $('#chat').classList.add('open');
    store.show(id).then(() => {
      $('#messages').scrollTop = $('#messages').scrollHeight;
      $('#composer textarea').focus();
    }).catch(problem => setStatus(problem.message));
  };
  on('#conversations', 'click', ({ target }) => {
    const row = target.closest('li');
    if (row) show(row.dataset.id);
  });
  on('#conversations', 'keydown', event => {
    if (event.key === 'Enter') event.target.closest('li')?.click();
  });
  on('#back', 'click', () => { store.open = null; $('#chat').classList.remove('open'); draw(); });
  on('#logout', 'click', () => api.logout().catch(() => {}).then(end));
  on('#new-chat', 'click', () => newChatDialog(api, async id => { await store.refreshConversation(id); show(id); }));
  on('#members', 'click', () => membersDialog(api, store, store.open));

  let typedAt = 0;
  on('#composer', 'input', () => {
    if (Date.now() - typedAt > TYPING_EVERY_MS) {
      typedAt = Date.now();
      store.startTyping();
    }
  });
  on('#composer', 'keydown', event => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      $('#composer').requestSubmit();
    }
  });
  on('#composer', 'submit', event => {
    event.preventDefault();
    const field = event.target.elements.text;
    const text = field.value.trim();
    if (!text || !store.open) return;
    field.value = '';
    typedAt = 0;
    store.send(store.open, text);
  });
  on('#messages', 'scroll', async ({ target }) => {
    if (target.scrollTop > 40 || !store.open) return;
    const height = target.scrollHeight;
    if (await store.loadEarlier(store.open).catch(() => false)) {
      requestAnimationFrame(() => requestAnimationFrame(() => { target.scrollTop += target.scrollHeight - height; }));
    }
  });

  connection.open();
  draw();
}

function setStatus(text) {
  $('#status').textContent = text;
  $('#status').hidden = !text;
}

function drawList(store) {
  const rows = store.list().map(conversation => {
    const title = store.titleOf(conversation);
    const row = element('li');
    row.dataset.id = conversation.id;
    row.tabIndex = 0;
    row.setAttribute('aria-current', String(conversation === store.open));
    const avatar = element('span', 'avatar', title[0]?.toUpperCase());
    avatar.style.background = `hsl(${[...title].reduce((sum, c) => sum + c.charCodeAt(0) * 37, 0) % 360} 45% 42%)`;
    if (conversation.peer && store.online.has(conversation.peer.userId)) {
      avatar.classList.add('online');
      avatar.title = 'online';
    }
    const last = conversation.lastMessage;
    const who = last && !conversation.direct && last.sender !== store.me.userId ? `${store.nameOf(last.sender)}: ` : '';
    const badge = element('span', 'badge', conversation.unread > 99 ? '99+' : String(conversation.unread));
    badge.setAttribute('aria-label', `${conversation.unread} unread`);
    badge.hidden = !conversation.unread;
    row.append(avatar, element('span', 'name', title), element('span', 'when', last ? timeOf(last.at) : ''),
      element('span', 'preview', last ? who + last.text : ''), badge);
    return row;
  });
  const focused = document.activeElement?.closest?.('#conversations li')?.dataset.id;
  $('#conversations').replaceChildren(...rows);
  if (focused) rows.find(row => row.dataset.id === focused)?.focus();
  $('#empty').hidden = rows.length > 0;
  const unread = store.list().reduce((sum, c) => sum + c.unread, 0);
  document.title = unread ? `(${unread}) GoChat` : 'GoChat';
}

function drawConversation(store) {
  const conversation = store.open;
  for (const selector of ['#messages', '#composer', '.conversation header']) $(selector).hidden = !conversation;
  $('#pick').hidden = Boolean(conversation);
  if (!conversation) return;
  $('#title').textContent = store.titleOf(conversation);
  $('#subtitle').textContent = subtitleOf(store, conversation);
  $('#members').hidden = conversation.direct;

  const log = $('#messages');
  const atBottom = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  const shown = new Map([...log.children].map(row => [row.dataset.key, row]));
  const rows = [
    ...conversation.messages.map(message => messageRow(store, conversation, message, shown.get(String(message.seq)))),
    ...conversation.pending.map(pendingRow),
  ];
  log.replaceChildren(...rows);
  if (atBottom) log.scrollTop = log.scrollHeight;
}

function subtitleOf(store, conversation) {
  const typing = [...conversation.typing.keys()].map(id => store.nameOf(id));
  if (typing.length === 1) return conversation.direct ? 'typing …' : `${typing[0]} is typing …`;
  if (typing.length) return `${typing.length} people are typing …`;
  if (!conversation.direct) return `${conversation.memberCount} members`;
  return store.online.has(conversation.peer?.userId) ? 'online' : 'offline';
}

function messageRow(store, conversation, message, shown) {
  const mine = message.sender === store.me.userId;
  const row = shown ?? element('li', mine ? 'mine new' : 'new');
  row.dataset.key = message.seq;
  const readBy = [...conversation.reads.values()].filter(seq => seq >= message.seq).length;
  const read = !mine ? '' : readBy === 0 ? ' ✓' : conversation.direct ? ' ✓✓ read' : ` ✓✓ ${readBy}`;
  const parts = [element('span', 'text', message.text), element('span', 'meta', timeOf(message.at) + read)];
  if (!mine && !conversation.direct) parts.unshift(element('span', 'who', store.nameOf(message.sender)));
  row.replaceChildren(...parts);
  return row;
}

function pendingRow(pending) {
  const row = element('li', `mine ${pending.state}`);
  row.dataset.key = pending.clientMsgId;
  const meta = { sending: '… sending', accepted: '… accepted', failed: `not sent: ${pending.why}` }[pending.state];
  row.append(element('span', 'text', pending.text), element('span', 'meta', meta));
  return row;
}

function timeOf(ms) {
  const at = new Date(ms);
  const today = at.toDateString() === new Date().toDateString();
  return at.toLocaleString([], today ? { hour: '2-digit', minute: '2-digit' } : { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
}

if (api.session) start();
else showLogin();
