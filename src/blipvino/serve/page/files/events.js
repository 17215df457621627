// Server-sent events of a response's body. The browser's own EventSource cannot send a picture.

/** The events: their names ("message" by default) and their data, which is JSON. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      yield* blocks.map(parsed);
    }
  } finally {
    reader.cancel().catch(() => {}); // it ended already
  }
}

function parsed(block) {
  let name = "message";
  const lines = [];
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) lines.push(line.slice(5));
  }
  return { name, data: lines.length ? JSON.parse(lines.join("\n")) : null };
}
