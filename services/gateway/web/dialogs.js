// The two dialogs: a new chat, and a group's members.

const MAY_CHANGE_MEMBERS = new Set(['ROLE_ADMIN', 'ROLE_OWNER']);

/** Opens a dialog whose form stays open, with the error shown, until `submit` succeeds. */
function openDialog(dialog, submit) {
  const form = dialog.querySelector('form');
  const error = form.querySelector('.error');
  const fail = problem => { error.textContent = problem.message; error.hidden = false; };
  error.hidden = true;
  form.reset();
  form.onsubmit = async event => {
    event.preventDefault();
    try {
      if (await submit(form.elements)) dialog.close();
    } catch (problem) {
      fail(problem);
    }
  };
  form.querySelector('[value=cancel]').onclick = () => dialog.close();
  dialog.showModal();
  return fail;
}

/** `created(conversationId)` is called with the chat that was made or was there. */
export function newChatDialog(api, created) {
  openDialog(document.querySelector('#new-dialog'), async ({ names, title }) => {
    const wanted = [...new Set(names.value.split(/[\s,]+/).filter(Boolean))];
    const users = await Promise.all(wanted.map(name => api.userNamed(name)));
    const group = users.length > 1 || title.value.trim();
    const conversation = await api.authorised('POST', 'conversations', group
      ? { title: title.value.trim() || wanted.join(', '), memberIds: users.map(u => u.userId) }
      : { peerId: users[0].userId });
    await created(conversation.conversationId);
    return true;
  });
}

export async function membersDialog(api, store, conversation) {
  const path = `conversations/${conversation.id}/members`;
  const dialog = document.querySelector('#members-dialog');
  const list = dialog.querySelector('#member-list');
  const may = MAY_CHANGE_MEMBERS.has(conversation.role);

  const draw = async () => {
    const { members = [], users = [] } = await api.authorised('GET', path);
    for (const user of users) store.users.set(user.userId, user);
    list.replaceChildren(...members.map(member => {
      const row = document.createElement('li');
      const role = { ROLE_OWNER: ' (owner)', ROLE_ADMIN: ' (admin)' }[member.role] ?? '';
      row.append(store.nameOf(member.userId) + role);
      if (may && member.userId !== store.me.userId) {
        const remove = document.createElement('button');
        remove.type = 'button';
        remove.textContent = 'Remove';
        remove.onclick = () => api.authorised('DELETE', `${path}/${member.userId}`).then(draw).catch(fail);
        row.append(remove);
      }
      return row;
    }));
  };

  const fail = openDialog(dialog, async ({ name }) => {
    const user = await api.userNamed(name.value.trim());
    await api.authorised('POST', path, { memberIds: [user.userId] });
    name.value = '';
    await draw();
    return false;
  });
  dialog.querySelector('input').parentElement.hidden = !may;
  dialog.querySelector('[type=submit]').hidden = !may;
  dialog.querySelector('[value=leave]').onclick = () =>
    api.authorised('DELETE', `${path}/${store.me.userId}`).then(() => dialog.close()).catch(fail);
  list.replaceChildren();
  await draw().catch(fail);
}
