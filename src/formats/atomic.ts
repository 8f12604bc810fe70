/**
 * Files that are replaced whole or not at all.
 *
 * New content goes to a temporary file in the same folder, is forced to disk (fsync), and only then takes the place of the old
 * file by rename, which is one indivisible step. A crash, a full disk or Ctrl-C at any moment leaves the old file or the new one.
 */
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, mkdir, open, rename, rm, stat, unlinkSync } from '../host/node.js';
import { FileError } from './errors.js';

/** Takes the next bytes of a file. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

/** What a file shall hold: a text, bytes, or a function that writes it piece by piece. */
export type Content = string | Uint8Array | ((sink: Sink) => Promise<void>);

/** Temporary files of this process, for removal should it exit in the middle. */
const pending = new Set<string>();
let serial = 0;

globalThis.process?.on?.('exit', () => {
  for (const path of pending) {
    try {
      unlinkSync(path);
    } catch {
      // It was never made, or is gone: there is nothing to clean up.
    }
  }
});

async function fill(handle: FileHandle, content: Content): Promise<void> {
  if (typeof content === 'function') await content((bytes) => handle.writeFile(bytes));
  else await handle.writeFile(content);
  await handle.sync();
}

async function discard(temporary: string): Promise<void> {
  await rm(temporary, { force: true });
  pending.delete(temporary);
}

/** Writes the content beside `path` and returns the temporary file's path; leaves nothing behind if that fails. */
async function prepare(path: string, content: Content): Promise<string> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}-${++serial}.tmp`);
  const handle = await open(temporary, 'wx').catch((cause) => {
    throw new FileError('write', path, cause);
  });
  pending.add(temporary);
  try {
    await fill(handle, content);
    await handle.close();
  } catch (cause) {
    await handle.close().catch(() => {});
    await discard(temporary);
    throw typeof (cause as NodeJS.ErrnoException).syscall === 'string' ? new FileError('write', path, cause) : cause;
  }
  return temporary;
}

async function commit(temporary: string, path: string): Promise<void> {
  try {
    await rename(temporary, path);
    pending.delete(temporary);
  } catch (cause) {
    throw new FileError('write', path, cause);
  }
}

/**
 * Makes a folder and those above it. (As mkdir with `recursive`, which in Node 20 never returns where a folder such as /proc refuses
 * new ones with ENOENT.)
 * @throws FileError
 */
export async function makeFolder(folder: string): Promise<void> {
  const make = async (path: string): Promise<void> => {
    try {
      await mkdir(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const parent = dirname(path);
      if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
      if (code !== 'ENOENT' || parent === path) throw error;
      await make(parent);
      await mkdir(path);
    }
  };
  await make(folder).catch((cause) => {
    throw new FileError('write', folder, cause);
  });
}

/** Makes renames in a folder outlast a power cut. Windows has no such call and needs none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

/**
 * Replaces a file whole or not at all. What `content` throws is passed on, and the old file is then untouched.
 * @throws FileError naming the file and what stood in the way.
 */
export async function replaceFile(path: string, content: Content): Promise<void> {
  const temporary = await prepare(path, content);
  try {
    await commit(temporary, path);
  } catch (error) {
    await discard(temporary);
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * Replaces some files of a folder together, making the folder if it is not there; other files in it stay.
 *
 * Every new file is complete and on disk before the first one takes its place, so running out of disk, an error while the content
 * is made and Ctrl-C while it is written change nothing. The files then take their places in the order given, one rename each:
 * a power cut within those few renames may leave the first files new and the last ones old. Put last the file that readers trust
 * to describe the others (config.json): when it is new, all are.
 * @throws FileError naming the file and what stood in the way.
 */
export async function replaceFiles(folder: string, files: Readonly<Record<string, Content>>): Promise<void> {
  await makeFolder(folder);
  const prepared: { readonly path: string; readonly temporary: string }[] = [];
  try {
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      prepared.push({ path, temporary: await prepare(path, content) });
    }
    for (const { path, temporary } of prepared) await commit(temporary, path);
  } catch (error) {
    for (const { temporary } of prepared) await discard(temporary);
    throw error;
  }
  await syncFolder(folder);
}
