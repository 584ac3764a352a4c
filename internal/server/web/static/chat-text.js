// The content of a message, as nodes. Text stays text; http(s) addresses become links; images are shown if they are
// part of the message, and fetched from other sites only when the reader asks for it.

import { alone } from './chat-dom.js';

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`]+/gi;
const DATA_IMAGE = /^data:image\/(?:png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/]+={0,2}$/;

export function content(message, loaded) {
  if (message.message_type === 'image') {
    const image = picture(message, loaded);
    if (image) return [image];
  }
  return linked(message.content);
}

// summary is the text of a quote of the message, on one line.
export function summary(message) {
  if (message.message_type === 'image') return 'Image';
  const line = message.content.replace(/\s+/g, ' ').trim();
  return line.length > 140 ? line.slice(0, 139).trimEnd() + '…' : line;
}

function linked(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0]);
    const url = parse(address);
    if (!url) continue;
    nodes.push(text.slice(from, match.index), link(url, address));
    from = match.index + address.length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((n) => n !== '').map((n) => (typeof n === 'string' ? document.createTextNode(n) : n));
}

// trimmed removes characters that end a sentence and not an address, and a bracket that was opened before the
// address.
function trimmed(address) {
  let end = address.length;
  for (;;) {
    const last = address[end - 1];
    const opens = { ')': '(', ']': '[' }[last];
    if (opens ? !address.slice(0, end).includes(opens) : '.,;:!?…'.includes(last)) end--;
    else return address.slice(0, end);
  }
}

// parse returns the URL if it is http or https.
function parse(address) {
  const url = URL.canParse(address) ? new URL(address) : null;
  return url && (url.protocol === 'https:' || url.protocol === 'http:') ? url : null;
}

function link(url, text) {
  const a = document.createElement('a');
  a.href = url.href;
  a.target = '_blank';
  a.rel = 'noopener noreferrer nofollow';
  a.textContent = text;
  return a;
}

function picture(message, loaded) {
  const source = message.content;
  if (DATA_IMAGE.test(source)) return image(source, message.sender_name, loaded);
  const url = parse(source);
  if (url?.protocol !== 'https:') return null;
  // Fetching the image tells its server who reads this, so the reader decides.
  const offer = document.createElement('span');
  const button = document.createElement('button');
  offer.className = 'offer';
  button.type = 'button';
  button.textContent = `Show the image from ${url.hostname}`;
  button.addEventListener('click', () => {
    const img = image(url.href, message.sender_name, loaded);
    img.addEventListener('error', () => {
      img.replaceWith(document.createTextNode('The image could not be loaded: '), link(url, url.href));
    });
    button.replaceWith(img);
  });
  offer.append(button, link(url, url.href));
  return offer;
}

function image(source, name, loaded) {
  const img = document.createElement('img');
  img.alt = `Image from ${alone(name)}`;
  img.referrerPolicy = 'no-referrer';
  img.addEventListener('load', loaded);
  img.src = source;
  return img;
}
