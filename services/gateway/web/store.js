// What this user's conversations are, from frames: messages in order of seq without holes or repeats, cursors, typing, presence.
// History is the truth and pushes may be lost or repeated, so everything here is keyed by (conversation, seq).

const PAGE = 50;
const TYPING_LASTS_MS = 5_000;

/** One conversation as the page shows it. `messages` is contiguous: its last one has seq `head`. */
function conversationOf(wire) {
  return {
    id: wire.conversationId,
    direct: wire.kind === 'CONVERSATION_KIND_DIRECT',
    title: wire.title ?? '',
    peer: wire.peer,
    role: wire.role,
    memberCount: wire.memberCount ?? 0,
    lastSeq: Number(wire.lastSeq ?? 0),
    readSeq: Number(wire.readSeq ?? 0),
    unread: Number(wire.unread ?? 0),
    lastMessage: wire.lastMessage && messageOf(wire.lastMessage),
    messages: [],
    head: null,
    early: new Map(),
    pending: [],
    reads: new Map(),
    typing: new Map(),
    filling: false,
  };
}

function messageOf(wire) {
  return {
    seq: Number(wire.seq),
    sender: wire.senderId,
    clientMsgId: wire.clientMsgId,
    text: wire.text ?? '',
    at: Number(wire.sentAtMs ?? 0),
  };
}

/** Emits `change` whenever anything shown may differ. */
export class Store extends EventTarget {
  conversations = new Map();
  users = new Map();
  online = new Set();
  open = null;

  #api;
  #connection;
  #unknown = new Set();

  constructor(api, connection) {
    super();
    this.#api = api;
    this.#connection = connection;
    this.me = api.session.user;
    this.users.set(this.me.userId, this.me);
    connection.addEventListener('up', ({ detail }) => this.#resyncWithin(detail.syncWithinMs));
    connection.addEventListener('down', () => {
      this.online.clear(); // Nobody tells us any more.
      this.#changed();
    });
    connection.addEventListener('frame', ({ detail }) => this.#frame(detail.name, detail.body));
  }

  /** Conversations, the one with the newest message first. */
  list() {
    const newest = c => c.lastMessage?.at ?? Number.MAX_SAFE_INTEGER;
    return [...this.conversations.values()].sort((a, b) => newest(b) - newest(a));
  }

  nameOf(userId) {
    const user = this.users.get(userId);
    if (!user) this.#learn([userId]);
    return user ? user.displayName || user.name : '…';
  }

  titleOf(conversation) {
    return conversation.direct ? conversation.peer?.displayName || conversation.peer?.name || '…' : conversation.title || 'Group';
  }

  async show(id) {
    const conversation = this.conversations.get(id) ?? await this.refreshConversation(id);
    this.open = conversation;
    if (conversation.head === null) await this.#loadNewest(conversation);
    this.markRead();
    this.#changed();
  }

  /** Earlier messages than those shown; true where some came. */
  async loadEarlier(conversation) {
    const first = conversation.messages[0]?.seq ?? 0;
    if (first <= 1 || conversation.filling) return false;
    conversation.filling = true;
    try {
      const page = await this.#connection.sync({ conversationId: conversation.id, beforeSeq: String(first), limit: PAGE });
      conversation.messages.unshift(...(page.messages ?? []).map(messageOf));
      this.#changed();
      return true;
    } finally {
      conversation.filling = false;
    }
  }

  send(conversation, text) {
    const pending = { clientMsgId: crypto.randomUUID?.() ?? randomId(), text, state: 'sending', at: Date.now() };
    conversation.pending.push(pending);
    this.#transmit(conversation, pending);
    this.#changed();
  }

  startTyping() {
    if (this.open) this.#connection.send({ typing: { conversationId: this.open.id } });
  }

  /** What is on the screen has been read. */
  markRead() {
    const conversation = this.open;
    if (!conversation || document.visibilityState !== 'visible' || conversation.head === null) return;
    if (conversation.head > conversation.readSeq) {
      conversation.readSeq = conversation.head;
      this.#connection.send({ read: { conversationId: conversation.id, seq: String(conversation.head) } });
    }
    conversation.unread = 0;
  }

  async refreshConversation(id) {
    const wire = await this.#api.authorised('GET', `conversations/${id}`);
    const conversation = this.#merge(wire);
    this.#watchPeers();
    this.#changed();
    return conversation;
  }

  // At a random moment within that time: when many clients have to, they are not all at the database at once.
  #resyncWithin(ms) {
    if (ms) setTimeout(() => this.#resync(), Math.random() * ms);
    else this.#resync();
  }

  // After every welcome: heads first, then only what moved while we were away, then what was never committed.
  async #resync() {
    try {
      let page = '';
      const present = new Set();
      do {
        const answer = await this.#connection.sync({ page });
        for (const wire of answer.conversations ?? []) present.add(this.#merge(wire).id);
        page = answer.nextPage ?? '';
      } while (page);
      for (const id of this.conversations.keys()) if (!present.has(id)) this.#remove(id);
      for (const conversation of this.conversations.values()) {
        if (conversation.head !== null && conversation.lastSeq > conversation.head) await this.#fill(conversation);
        for (const pending of conversation.pending) if (pending.state !== 'failed') this.#transmit(conversation, pending);
      }
      this.#watchPeers();
      this.markRead();
    } catch (error) {
      console.warn('sync:', error.message); // The next welcome or sync_required does it again.
    }
    this.#changed();
  }

  #merge(wire) {
    const fresh = conversationOf(wire);
    const known = this.conversations.get(fresh.id);
    if (fresh.peer) this.users.set(fresh.peer.userId, fresh.peer);
    if (!known) {
      this.conversations.set(fresh.id, fresh);
      return fresh;
    }
    known.lastSeq = Math.max(known.lastSeq, fresh.lastSeq);
    known.readSeq = Math.max(known.readSeq, fresh.readSeq);
    for (const field of ['title', 'peer', 'role', 'memberCount', 'unread']) known[field] = fresh[field];
    if ((fresh.lastMessage?.seq ?? 0) >= (known.lastMessage?.seq ?? 0)) known.lastMessage = fresh.lastMessage;
    return known;
  }

  #remove(id) {
    this.conversations.delete(id);
    if (this.open?.id === id) this.open = null;
  }

  async #loadNewest(conversation) {
    const page = await this.#connection.sync({ conversationId: conversation.id, limit: PAGE });
    conversation.messages = (page.messages ?? []).map(messageOf);
    conversation.head = conversation.messages.at(-1)?.seq ?? 0;
    this.#settleEarly(conversation);
  }

  // Pulls what lies between `head` and the newest seq that we know of.
  async #fill(conversation) {
    if (conversation.filling) return;
    conversation.filling = true;
    try {
      for (let more = true; more;) {
        const page = await this.#connection.sync({ conversationId: conversation.id, afterSeq: String(conversation.head), limit: PAGE });
        for (const wire of page.messages ?? []) this.#place(conversation, messageOf(wire));
        more = Boolean(page.more);
      }
    } finally {
      conversation.filling = false;
    }
  }

  #frame(name, body) {
    switch (name) {
      case 'message': this.#message(body); break;
      case 'accepted': this.#accepted(body); break;
      case 'committed': this.#committed(body); break;
      case 'read': this.#read(body); break;
      case 'typing': this.#typing(body); break;
      case 'presence': body.online ? this.online.add(body.userId) : this.online.delete(body.userId); break;
      case 'syncRequired': this.#resyncWithin(body.withinMs ?? 0); break;
      case 'conversationChanged':
        if (body.removed) this.#remove(body.conversationId);
        else this.refreshConversation(body.conversationId).catch(() => {});
        break;
      case 'error': this.#refused(body); break;
      default: // A newer server may say more than this page knows.
    }
    this.#changed();
  }

  #message(body) {
    const conversation = this.conversations.get(body.conversationId);
    if (!conversation) {
      this.refreshConversation(body.conversationId).catch(() => {});
      return;
    }
    const message = messageOf(body);
    if (message.seq > conversation.lastSeq && message.sender !== this.me.userId) conversation.unread += 1;
    this.#arrived(conversation, message);
    conversation.typing.delete(message.sender);
  }

  #accepted(body) {
    const pending = this.#pending(body)?.found;
    if (pending) pending.state = 'accepted';
  }

  #committed(body) {
    const { conversation, found } = this.#pending(body) ?? {};
    if (!found) return;
    this.#arrived(conversation, {
      seq: Number(body.seq), sender: this.me.userId, clientMsgId: body.clientMsgId, text: found.text, at: Number(body.sentAtMs),
    });
  }

  #arrived(conversation, message) {
    if (message.seq > conversation.lastSeq) {
      conversation.lastSeq = message.seq;
      conversation.lastMessage = message;
    }
    if (conversation.head === null) {
      conversation.early.set(message.seq, message);
      this.#dropPending(conversation, message);
      return;
    }
    this.#place(conversation, message);
    if (conversation.early.size) this.#fill(conversation).catch(() => {});
    if (conversation === this.open) this.markRead();
  }

  // In order: the next one is shown, an older one is a repeat, a later one waits for the gap to be filled.
  #place(conversation, message) {
    this.#dropPending(conversation, message);
    if (message.seq > conversation.head) conversation.early.set(message.seq, message);
    this.#settleEarly(conversation);
  }

  #settleEarly(conversation) {
    for (const seq of [...conversation.early.keys()].sort((a, b) => a - b)) {
      if (seq > conversation.head + 1) break;
      if (seq === conversation.head + 1) {
        conversation.messages.push(conversation.early.get(seq));
        conversation.head = seq;
      }
      conversation.early.delete(seq);
    }
  }

  #dropPending(conversation, message) {
    if (message.sender !== this.me.userId) return;
    conversation.pending = conversation.pending.filter(p => p.clientMsgId !== message.clientMsgId);
  }

  #pending({ conversationId, clientMsgId }) {
    const conversation = this.conversations.get(conversationId);
    const found = conversation?.pending.find(p => p.clientMsgId === clientMsgId);
    return found && { conversation, found };
  }

  #transmit(conversation, { clientMsgId, text }) {
    this.#connection.send({ send: { conversationId: conversation.id, clientMsgId, text } });
  }

  #refused(body) {
    const { conversation, found } = this.#pending(body) ?? {};
    if (!found) return;
    if (body.retryAfterMs) {
      setTimeout(() => this.#transmit(conversation, found), body.retryAfterMs * (1 + Math.random()));
    } else {
      found.state = 'failed';
      found.why = body.fix ? `${body.text}: ${body.fix}` : body.text;
    }
  }

  #read({ conversationId, userId, seq }) {
    const conversation = this.conversations.get(conversationId);
    if (!conversation) return;
    if (userId === this.me.userId) {
      conversation.readSeq = Math.max(conversation.readSeq, Number(seq));
      if (conversation.readSeq >= conversation.lastSeq) conversation.unread = 0;
    } else {
      conversation.reads.set(userId, Math.max(conversation.reads.get(userId) ?? 0, Number(seq)));
    }
  }

  #typing({ conversationId, userId }) {
    const conversation = this.conversations.get(conversationId);
    if (!conversation || userId === this.me.userId) return;
    clearTimeout(conversation.typing.get(userId));
    conversation.typing.set(userId, setTimeout(() => {
      conversation.typing.delete(userId);
      this.#changed();
    }, TYPING_LASTS_MS));
  }

  #watchPeers() {
    const userIds = [...this.conversations.values()].filter(c => c.peer).map(c => c.peer.userId).slice(0, 500);
    this.#connection.send({ presence: { userIds } });
  }

  // Names are asked for in one request for all that one frame of drawing needs.
  #learn(ids) {
    const first = this.#unknown.size === 0;
    for (const id of ids) this.#unknown.add(id);
    if (!first) return;
    queueMicrotask(async () => {
      const wanted = [...this.#unknown];
      try {
        for (const user of await this.#api.usersById(wanted)) this.users.set(user.userId, user);
        this.#changed();
      } catch { /* Asked again at the next drawing. */ } finally {
        this.#unknown.clear();
      }
    });
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

// crypto.randomUUID exists on secure origins only; a page on a LAN address has none.
function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
}
