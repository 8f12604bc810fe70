/** Sources for tests, in pieces that cut characters, lines and cells anywhere. */
import type { Stream } from '../../src/data/files.js';

/** Text or bytes as a stream called `name`, in pieces of `size` bytes. */
export function streamOf(text: string | Uint8Array, { name = 'data.csv', size = 3 } = {}): Stream {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
  }
  return { name, content: pieces() };
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
