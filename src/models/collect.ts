/** Examples from anything that yields them. */
export type Examples<T> = Iterable<T> | AsyncIterable<T>;

export async function collect<T>(examples: Examples<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const example of examples) all.push(example);
  return all;
}
